"""The reader's profile is what the calibration makes of the requests that were kept with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import runners.reader
from runners.methods.parts.signals import SIGNALS
from runners.profile import FILE_NAME, read_profile
from runners.risk.calibrate import calibrate

KEPT = Path(__file__).parents[2] / "docs/benchmarks/calibration/reader"
LAYERS = 30


def test_the_profile_follows_from_what_was_found(script_of: Callable[[str], ModuleType]) -> None:
    script: Any = script_of("calibrate_model")
    requests = []
    for source in script.SOURCES["reader"]:
        _, *lines = (KEPT / source.file).read_text().splitlines()
        requests += [script.read(line, source) for line in lines]
    made = calibrate(SIGNALS, "template", requests)
    ships = read_profile(Path(runners.reader.__file__).parent / FILE_NAME, LAYERS).risk
    assert ships is not None
    assert (made.ranking, made.least_margin, made.families) == (ships.ranking, ships.least_margin, ships.families)
    assert made.promises == ships.promises
    for ours, theirs in zip(made.levels, ships.levels, strict=True):
        assert ours.share == theirs.share
        assert ours.weights == pytest.approx(theirs.weights, rel=1e-3, abs=1e-4)
