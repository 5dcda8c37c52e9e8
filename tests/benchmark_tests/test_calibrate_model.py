"""The calibration of a model as it ships: what was found of a stream is kept, and read again as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from runners.methods.parts.signals import SIGNALS
from runners.models.load import load_model, resolve_model
from runners.risk.model import DEFAULT_RANKING, Promise, RiskLevel, RiskModel
from runners.risk.outcomes import CalibrationRequest, Outcome


@pytest.fixture
def script(script_of: Callable[[str], ModuleType]) -> Any:
    return script_of("calibrate_model")


def test_a_stream_is_assessed_once(script: Any, tmp_path: Path) -> None:
    source, kept = script.Source("binding", "own", 8), tmp_path / "binding-own-601.jsonl"
    model = load_model("builtin", resolve_model("builtin"))
    with torch.inference_mode():
        first = script.assessed(model, source, kept)
    assert source.file == kept.name
    no_adapter: Any = None
    again = script.assessed(replace(model, adapter=no_adapter), source, kept)
    assert again == first, "what was found is read, and no model is asked"
    assert first
    for request in first:
        assert request.case.startswith("own-601/binding/")
        assert len(request.signals) == len(SIGNALS)
        assert list(request.outcomes) == list(script.RANKINGS)
        for levels in request.outcomes.values():
            assert list(levels) == sorted(levels)
            assert all(outcome.margin >= 0 for outcome in levels.values())


def test_every_source_is_a_stream_of_its_own(script: Any) -> None:
    for sources in script.SOURCES.values():
        assert len({source.file for source in sources}) == len(sources)


def test_what_was_not_seen_is_told_by_what_was_chosen_for_it(script: Any) -> None:
    def request(signal: float, changed: bool, margin: float) -> CalibrationRequest:
        levels = {0.0: Outcome(changed, margin), 0.2: Outcome(changed=False, margin=9.0)}
        return CalibrationRequest("some", "case", (signal,), {DEFAULT_RANKING: levels})

    risk = RiskModel(
        signals=("one",),
        low=(-5.0,),
        high=(5.0,),
        centre=(0.0,),
        scale=(1.0,),
        levels=(RiskLevel(0.0, (9.0,), 0.0), RiskLevel(0.2, (0.0,), -9.0)),
        promises=(Promise(0.02, 0.1, 0, 0.01, 0.1),),
        families=("other",),
        donor="template",
        requests=300,
        confidence=0.95,
        least_margin=0.5,
    )
    kept, doubted, repaired, unlike = (-1.0, True, 9.0), (-1.0, True, 0.2), (1.0, True, 9.0), (6.0, True, 9.0)
    line = script.unseen_line(risk, "some", [request(*asked) for asked in (kept, doubted, repaired, unlike)])
    assert line == "| some | 4 | 4 | 1 | 2 | 1 | 1 |"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--held-out", "601"], "a seed can be given once"),
        (["--seed", "7", "--seed", "7"], "a seed can be given once"),
        (["--leave-out", "versions"], "--leave-out versions: there is no such stream"),
    ],
)
def test_streams_that_cannot_be_told_apart_or_found_are_refused(
    script: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    complaint: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["calibrate_model.py", "builtin", "folder", *given])
    with pytest.raises(SystemExit, match="2"):
        script.parse()
    assert complaint in capsys.readouterr().err
