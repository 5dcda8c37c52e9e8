"""Find the files of lm-eval's tasks: the task, or the tasks of a group, of a name, and whether they can be served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workloads.errors import UsageError, unknown_name

MAX_NEW_TOKENS = 256  # where a task does not say, as in lm-eval
PICTURES = b"doc_to_image"  # the setting of a task that shows pictures
NOT_NEEDED = ("trust_remote_code", "token")  # no code of a data set is run


@dataclass(frozen=True)
class TaskFile:
    """A task as lm-eval's files have it.

    Attributes:
        file: its YAML file.
        config: what that says, includes merged, functions by name.
        changes: what a group changes in it.
    """

    file: Path
    config: Mapping[str, Any] = field(repr=False)
    changes: Mapping[str, Any]

    @property
    def revision(self) -> str | None:
        """Of the data set on the hub."""
        return (self.get("dataset_kwargs") or {}).get("revision")

    @property
    def unusual(self) -> str:
        """Ways of loading the data that are not followed here, if any."""
        return ", ".join(sorted(set(self.get("dataset_kwargs") or {}) - {*NOT_NEEDED, "revision"}))

    def get(self, key: str) -> Any:
        """A setting; None where there is none."""
        return self.changes.get(key, self.config.get(key))

    @property
    def split(self) -> str:
        """The split that lm-eval would ask about."""
        return str(self.get("test_split") or self.get("validation_split"))

    @property
    def max_new_tokens(self) -> int:
        """Longest answer that the task allows."""
        return int(generation(self.get("generation_kwargs"))["max_gen_toks"])


def generation(kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """A task's ``generation_kwargs`` as lm-eval reads them: ``max_gen_toks`` and a list ``until`` are always there."""
    from lm_eval.models.utils import normalize_gen_kwargs

    set_kwargs = {key: value for key, value in (kwargs or {}).items() if value is not None}
    settings: dict[str, Any] = normalize_gen_kwargs(set_kwargs, MAX_NEW_TOKENS)
    return settings


def find_tasks(name: str) -> dict[str, TaskFile]:
    """Each task that ``name`` stands for, by its name.

    Raises:
        UsageError: lm-eval knows no such task or group, or it shows no pictures and is not in a folder of that name.
    """
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks import __file__ as home

    index: Mapping[str, Any] = {}
    for folders in (_folders_of_name(Path(home).parent, name), _folders_with_pictures(Path(home).parent)):
        index = TaskManager(include_path=sorted(folders), include_defaults=False).task_index
        try:
            return dict(_leaves(name, index, {}))
        except KeyError:
            continue
    askable = [known for known, entry in index.items() if (entry.cfg or {}).get("doc_to_image")]
    raise unknown_name("multimodal task of lm-eval", name, askable)


def _folders_of_name(tasks: Path, name: str) -> Iterator[Path]:
    """Find the folders of lm-eval's tasks that ``name`` begins with the name of."""
    yield from (path for path in tasks.iterdir() if path.is_dir() and name.startswith(path.name))


def _folders_with_pictures(tasks: Path) -> Iterator[Path]:
    """Find the folders of lm-eval's tasks in which some file shows pictures: to parse all 14,000 takes many seconds."""
    for folder in tasks.iterdir():
        files = (path for path in folder.rglob("*") if path.suffix != ".py" and path.is_file())
        if any(PICTURES in path.read_bytes() for path in files):
            yield folder


def _leaves(name: str, index: Mapping[str, Any], changes: Mapping[str, Any]) -> Iterator[tuple[str, TaskFile]]:
    """The tasks of a task, tag or group; KeyError for a name that is not in ``index``."""
    entry = index[name]
    config = entry.cfg or {}
    members = config.get("task") if isinstance(config.get("task"), list) else sorted(entry.tags) if not config else None
    if members is None:
        yield name, TaskFile(entry.yaml_path, config, changes)
        return
    for member in members:
        more = member if isinstance(member, dict) else {"task": member}
        own = {key: value for key, value in more.items() if key not in ("task", "group")}
        yield from _leaves(more.get("task") or more["group"], index, {**changes, **own})


def require_askable(name: str, task: TaskFile) -> None:
    """UsageError for a task that is something else than questions about pictures, each answered in words."""
    reasons = {
        "is written in Python": task.get("class"),
        "compares likelihoods": task.get("output_type") not in (None, "generate_until"),
        "shows no pictures": not task.get("doc_to_image"),
        "plays sounds": task.get("doc_to_audio"),
        "gives examples": task.get("num_fewshot"),
        "runs what is answered": task.get("unsafe_code"),
        "begins the answer": task.get("gen_prefix"),
        "makes its data itself": task.get("custom_dataset"),
        "has no split to test on": task.split == "None",
    }
    for reason, holds in reasons.items():
        if holds:
            raise UsageError(
                f"lm-eval's task {name} {reason}: only questions about pictures, answered in words, can be asked"
            )
