"""Held-out requests: a runner's are kept, another's added, and both are compared with full recomputation."""

from __future__ import annotations

from collections.abc import Callable
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
    def table(runners: str) -> list[list[str]]:
        command = ["held_out", "builtin", str(tmp_path), "--workload", "binding=10", "--runner", runners]
        monkeypatch.setattr("sys.argv", command)
        script.main()
        return [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]

    head, rule, blind = table("full-reuse")
    assert len(head) == len(rule) == len(blind)
    assert blind[:2] == ["binding", "`full-reuse`"]
    assert int(blind[3]) > 0, "blind reuse changes answers of this workload"
    _, _, again, exact = table("full-reuse,full@chunk=64")
    assert again == blind, "it was not answered again"
    assert exact[3] == "0"
    assert float(exact[6]) == 100
