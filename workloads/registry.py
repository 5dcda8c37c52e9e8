"""Workloads by name, imported on look-up: built in, data sets, and files with the user's own requests."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workloads.datasets.sources import ANYWHERE, Sources
from workloads.errors import UsageError, unknown_name
from workloads.options import base_name, read_options

if TYPE_CHECKING:
    from workloads.base import Workload

CARDS = {
    "image-chat": "workloads.synthetic.image_chat:ImageChat",
    "doc-qa": "workloads.synthetic.doc_qa:DocQA",
    "video": "workloads.synthetic.video:Video",
    "binding": "workloads.synthetic.binding:Binding",
    "multi-hop": "workloads.synthetic.multi_hop:MultiHop",
    "two-lists": "workloads.synthetic.multi_hop:TwoLists",
}
TEXT_PAGES = {
    "quote": "workloads.pages.quote:Quote",
    "versions": "workloads.pages.versions:Versions",
    "prose": "workloads.pages.prose:Prose",
    "page-break": "workloads.pages.page_break:PageBreak",
    "order": "workloads.pages.order:Order",
}
AGENTS = {
    "gui-agent": "workloads.agents.cards:GuiAgent",
    "gui-agent-text": "workloads.agents.text:GuiAgentText",
}
WORKLOADS = {**CARDS, **TEXT_PAGES, **AGENTS}
HELD_OUT = ("two-lists",)  # no model was trained on them, and no method tuned
DEFAULT_WORKLOADS = tuple(name for name in CARDS if name not in HELD_OUT)
MMMU = "mmmu"
RECORDED = "h-cua-perf"
Contents = Literal["cards", "text"]
"""What the pictures of a built-in workload hold: glyphs on a grid, or words."""

LM_EVAL = "lm-eval:"
YAML = (".yaml", ".yml")
DATASETS = files("workloads") / "datasets"
TRACES = files("workloads") / "traces"
FORMS = {
    f"{LM_EVAL}TASK": "A multimodal task of lm-eval, or a group of them, asked and scored by its own files.",
    "FILE.yaml": "A data set that the file describes, on the hub or local; or a trace.",
    "FILE.jsonl": "The requests in the file.",
}


def load_workload(name: str) -> Workload:
    """The built-in workload called ``name``, options after ``@`` if any.

    Raises:
        KeyError: there is none.
        UsageError: its options are not what they must be.
    """
    module, attribute = WORKLOADS[base_name(name)].split(":")
    kind = getattr(import_module(module), attribute)
    options = read_options(kind, name)
    workload: Workload = kind(name=name, **options) if options else kind()
    return workload


def is_built_in(name: str) -> bool:
    """Whether a workload is drawn from a seed, and needs no file."""
    return base_name(name) in WORKLOADS


def contents_of(name: str) -> Contents | None:
    """What the pictures of the workload called ``name`` hold; None where that is not known."""
    base = base_name(name)
    if base in TEXT_PAGES or base == "gui-agent-text":
        return "text"
    return "cards" if base in CARDS or base == "gui-agent" else None


def dataset_names() -> list[str]:
    """The data sets that are described in files of the package."""
    return sorted(Path(file.name).stem for file in DATASETS.iterdir() if _is_yaml(file.name))


def trace_names() -> list[str]:
    """The traces that are described in files of the package."""
    return sorted(Path(file.name).stem for file in TRACES.iterdir() if _is_yaml(file.name))


def trace_meanings() -> dict[str, str]:
    """What each trace is, by its name."""
    from workloads.traces.trace_file import read_trace_file

    return {name: read_trace_file(TRACES / f"{name}.yaml").trace for name in trace_names()}


def dataset_meanings() -> dict[str, str]:
    """What each data set is, by its name."""
    from workloads.datasets.description import read_dataset_file

    descriptions = {name: read_dataset_file(_description_file(name)).description for name in dataset_names()}
    return {
        MMMU: "MMMU (arXiv 2311.16502), college questions about pictures from 30 subjects.",
        RECORDED: "H CUA Perf, recorded sessions of a computer-use agent, from a folder (--dataset-path).",
        **descriptions,
    }


def open_workload(name: str, sources: Sources = ANYWHERE) -> Workload:
    """The workload called ``name``: built in, ``mmmu``, ``lm-eval:TASK``, or a data set; or that of a file.

    A file that ends in ``.jsonl`` holds requests, one in ``.yaml`` describes a data set.

    Raises:
        UsageError: there is no such workload, or what it is made of is not what it should be.
    """
    if name.endswith(".jsonl"):
        from workloads.files.jsonl import open_jsonl

        return open_jsonl(Path(name), sources.recur)
    if name == MMMU:
        from workloads.lm_eval.mmmu import open_mmmu

        return open_mmmu(sources)
    if base_name(name) == RECORDED:
        from workloads.agents.recorded import open_recorded

        return open_recorded(name, sources)
    if name.startswith(LM_EVAL):
        from workloads.lm_eval.task import open_tasks

        return open_tasks(name, sources)
    if (description := _trace_file(name)) is not None:
        from workloads.traces.workload import open_trace

        return open_trace(name if base_name(name) in trace_names() else Path(name).name, description, sources)
    if _is_yaml(name) or name in dataset_names():
        from workloads.datasets.dataset import open_dataset

        if _is_yaml(name):
            return open_dataset(Path(name).name, Path(name), sources)
        return open_dataset(name, _description_file(name), sources)
    if not is_built_in(name):
        raise unknown_name("workload", base_name(name), [*WORKLOADS, MMMU, RECORDED, *trace_names(), *dataset_names()])
    return load_workload(name)


def open_workloads(names: Sequence[str], sources: Sources = ANYWHERE) -> list[Workload]:
    """Open every workload.

    Raises:
        UsageError: two would have the same name in records and reports, or ``sources`` fits none, or several.
    """
    _require_fitting(names, sources)
    opened: dict[str, Workload] = {}
    for name in names:
        workload = open_workload(name, sources)
        if workload.name in opened:
            raise UsageError(f"workload '{name}': another file of this run is called {workload.name}; rename one")
        opened[workload.name] = workload
    return list(opened.values())


def _trace_file(name: str) -> Traversable | None:
    """The description of the trace of that name, or the file of that name if it describes one."""
    base = base_name(name)
    if base in trace_names():
        return TRACES / f"{base}.yaml"
    if not _is_yaml(base):
        return None
    from workloads.traces.trace_file import is_trace

    return Path(base) if is_trace(Path(base)) else None


def is_dataset(name: str) -> bool:
    """Whether ``sources`` says anything to the workload."""
    if name == MMMU or base_name(name) == RECORDED or name.startswith(LM_EVAL):
        return True
    return _is_yaml(name) or name in dataset_names()


def recurs_as_told(name: str) -> bool:
    """Whether ``sources.recur`` says how media of the workload come back."""
    return is_dataset(name) or name.endswith(".jsonl")


def _require_fitting(names: Sequence[str], sources: Sources) -> None:
    """What is said of a data set needs one; its place and its parts are those of one alone."""
    if sources.recur is not None and not any(map(recurs_as_told, names)):
        raise UsageError(
            f"--recur is about data sets and request files, and {', '.join(names)} has none; see vlcache list workloads"
        )
    datasets = [name for name in names if is_dataset(name)]
    for flag, given in (
        ("--dataset-path", sources.dataset_path is not None),
        ("--subjects", bool(sources.subjects)),
    ):
        if given and not datasets:
            raise UsageError(f"{flag} is about data sets, and {', '.join(names)} has none; see vlcache list workloads")
        if given and len(datasets) > 1:
            raise UsageError(f"{flag} is about one data set, not {' and '.join(datasets)}: run them one by one")


def _description_file(name: str) -> Traversable:
    return DATASETS / f"{name}.yaml"


def _is_yaml(name: str) -> bool:
    return name.endswith(YAML)
