"""Workloads by name, imported on look-up, and files with the user's own requests."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from workloads.base import Workload
from workloads.errors import UsageError, unknown_name

WORKLOADS = {
    "image-chat": "workloads.image_chat:ImageChat",
    "doc-qa": "workloads.doc_qa:DocQA",
    "video": "workloads.video:Video",
    "binding": "workloads.binding:Binding",
    "multi-hop": "workloads.multi_hop:MultiHop",
    "two-lists": "workloads.multi_hop:TwoLists",
}
HELD_OUT = ("two-lists",)  # no model was trained on them, and no method tuned
DEFAULT_WORKLOADS = tuple(name for name in WORKLOADS if name not in HELD_OUT)


def load_workload(name: str) -> Workload:
    """The workload called ``name``; KeyError when there is none."""
    module, attribute = WORKLOADS[name].split(":")
    workload: Workload = getattr(import_module(module), attribute)()
    return workload


def open_workload(name: str) -> Workload:
    """The workload called ``name``, or that of the requests in the file ``name`` when it ends in ``.jsonl``.

    Raises:
        UsageError: there is no such workload, or the file is not what it should be.
    """
    if name.endswith(".jsonl"):
        from workloads.jsonl import open_jsonl

        return open_jsonl(Path(name))
    if name not in WORKLOADS:
        raise unknown_name("workload", name, WORKLOADS)
    return load_workload(name)


def open_workloads(names: Iterable[str]) -> list[Workload]:
    """Open every workload; UsageError when two would have the same name in records and reports."""
    opened: dict[str, Workload] = {}
    for name in names:
        workload = open_workload(name)
        if workload.name in opened:
            raise UsageError(f"workload '{name}': another file of this run is called {workload.name}; rename one")
        opened[workload.name] = workload
    return list(opened.values())
