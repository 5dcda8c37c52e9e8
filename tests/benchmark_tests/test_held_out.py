"""Held-out requests: a runner's are kept, another's added, and both are compared with full recomputation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def script(script_of: Callable[[str], ModuleType]) -> Any:
    return script_of("held_out")


def test_runners_are_added_to_what_was_kept(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def table(*runners: str) -> list[list[str]]:
        asked = ["--workload", "binding", "--samples", "10", *chain.from_iterable(("--runner", r) for r in runners)]
        monkeypatch.setattr("sys.argv", ["held_out", "builtin", str(tmp_path), *asked])
        script.main()
        return [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]

    head, rule, blind = table("full-reuse")
    assert len(head) == len(rule) == len(blind)
    assert blind[:2] == ["binding", "`full-reuse`"]
    assert int(blind[3]) > 0, "blind reuse changes answers of this workload"
    _, _, again, exact = table("full-reuse", "full@chunk=64")
    assert again == blind, "it was not answered again"
    assert exact[:4] == ["binding", "`full@chunk=64`", blind[2], "0"]
    assert float(exact[6]) == 100
