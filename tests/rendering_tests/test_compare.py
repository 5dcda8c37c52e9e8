from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.compare import Comparison, compare
from reports.runs import read_runs
from workloads.errors import UsageError

SaveRun = Callable[..., Path]


def compared(save_run: SaveRun, change: Callable[[dict[str, Any]], None], **other: Any) -> Comparison:
    return compare(read_runs([save_run("a"), save_run("b", change=change, **other)], 0.02, 0.05))


@pytest.mark.parametrize(
    ("keys", "value", "kind"),
    [
        (("model", "fingerprint"), "e" * 64, "model"),
        (("model", "dtype"), "bfloat16", "model"),
        (("model", "device"), "cuda", "device"),
        (("model", "device_name"), "another machine", "device"),
        (("workloads", "binding"), "d" * 64, "workloads"),
        (("environment", "libraries", "torch"), "2.14.0", "libraries"),
    ],
)
def test_what_differs_is_told(save_run: SaveRun, keys: tuple[str, ...], value: str, kind: str) -> None:
    def change(told: dict[str, Any]) -> None:
        for key in keys[:-1]:
            told = told[key]
        told[keys[-1]] = value

    (mismatch,) = compared(save_run, change).mismatches
    assert (mismatch.run, mismatch.kind) == ("b", kind)
    assert value[:20] in mismatch.text


def test_equal_runs_differ_in_nothing(save_run: SaveRun) -> None:
    found = compared(save_run, lambda told: None)
    assert found.mismatches == []
    assert {value for change in found.changes if change.run == "b" for value in change.changes.values()} == {0.0}
    assert {value for change in found.changes if change.run == "a" for value in change.changes.values()} == {None}


def test_runners_of_one_run_alone_are_no_difference_but_other_options_are(save_run: SaveRun) -> None:
    def change(told: dict[str, Any]) -> None:
        del told["runners"][1]
        told["runners"][-1]["options"]["ratio"] = 0.4

    found = compared(save_run, change, each=lambda record: None if record.runner == "prefix-cache" else record)
    (mismatch,) = found.mismatches
    assert mismatch.kind == "runners"
    assert mismatch.text.startswith("vlcache@ratio=0.5")
    assert [change.run for change in found.changes if change.runner == "prefix-cache"] == ["a", "a"]


def test_runs_are_called_by_what_tells_their_folders_apart(save_run: SaveRun) -> None:
    paths = [save_run("x/mine"), save_run("y/mine")]
    assert [run.label for run in read_runs(paths, 0.02, 0.05)] == ["x/mine", "y/mine"]
    assert [run.label for run in read_runs(paths[:1], 0.02, 0.05)] == ["mine"]
    with pytest.raises(UsageError, match="is given twice"):
        read_runs([paths[0], paths[0].parent / "." / "mine"], 0.02, 0.05)
