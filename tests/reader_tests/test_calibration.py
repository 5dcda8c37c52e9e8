"""The reader's profile is what the calibration makes of the requests that were kept with it, and keeps its promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import runners.reader
from runners.methods.parts.signals import SIGNALS
from runners.profile import FILE_NAME, read_profile
from runners.risk.bounds import changed_bound
from runners.risk.calibrate import USUAL_RISK, calibrate
from runners.risk.model import EVERYTHING, RiskModel
from runners.risk.outcomes import CalibrationRequest

KEPT = Path(__file__).parents[2] / "docs/benchmarks/calibration/reader"
LAYERS = 30
HELD_OUT = 602  # seed of streams that the profile was not made from


@pytest.fixture
def script(script_of: Callable[[str], ModuleType]) -> Any:
    return script_of("calibrate_model")


def found(script: Any, seed: int) -> list[CalibrationRequest]:
    """What was found of the streams of a seed."""
    requests = []
    for source in script.SOURCES["reader"]:
        of_seed = replace(source, seed=seed)
        _, *lines = (KEPT / of_seed.file).read_text().splitlines()
        requests += [script.read(line, of_seed) for line in lines]
    return requests


def shipped() -> RiskModel:
    """The risk model that comes with the reader."""
    risk = read_profile(Path(runners.reader.__file__).parent / FILE_NAME, LAYERS).risk
    assert risk is not None
    return risk


def test_the_profile_follows_from_what_was_found(script: Any) -> None:
    made, ships = calibrate(SIGNALS, "template", found(script, script.SEED)), shipped()
    assert (made.ranking, made.least_margin, made.families) == (ships.ranking, ships.least_margin, ships.families)
    assert made.promises == ships.promises
    for ours, theirs in zip(made.levels, ships.levels, strict=True):
        assert ours.share == theirs.share
        assert ours.weights == pytest.approx(theirs.weights, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("left_out", ["", "prose"])  # whose answers are in doubt, and then computed in full
def test_its_promise_is_kept_by_requests_that_it_was_not_made_from(script: Any, left_out: str) -> None:
    ships = shipped()
    requests = [request for request in found(script, HELD_OUT) if request.family != left_out]
    chosen = [ships.choose(request.signals, USUAL_RISK, request.behind_new_media).share for request in requests]
    outcomes = [request.outcome(ships.ranking, share) for request, share in zip(requests, chosen, strict=True)]
    changed = sum(outcome.stays_changed(ships.least_margin) for outcome in outcomes)
    assert changed_bound(changed, len(requests)) <= USUAL_RISK
    assert sum(share < EVERYTHING for share in chosen) > 0.9 * len(requests)


def test_twice_the_requests_promise_less_risk(script: Any) -> None:
    both = calibrate(SIGNALS, "template", [*found(script, script.SEED), *found(script, HELD_OUT)])
    promise = both.promise(0.01)
    assert promise is not None
    assert promise.changed == 0
    assert promise.computed == pytest.approx(0.53, abs=0.01), "as docs/method.md says"
