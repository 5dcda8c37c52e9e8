"""Each rival at its best donor policy."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from reports.run.descriptions import RunnerDescription

FLIPS = {
    "full": None,
    "conduit": 0.05,
    "conduit@donor=previous": 0.02,
    "conduit@ratio=0.2": 0.0,
    "blend": 0.1,
    "b": 0.1,
}


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("rivals")


def described(label: str, method: str, **options: Any) -> RunnerDescription:
    return RunnerDescription(label, method, lossless=False, options=options)


def test_runners_that_differ_in_their_donor_alone_are_one_rival_the_fewest_changed_answers_first(
    script: ModuleType,
) -> None:
    runners = [
        described("full", "full"),
        described("conduit", "conduit", ratio=0.05, donor="template"),
        described("conduit@donor=previous", "conduit", donor="previous", ratio=0.05),
        described("conduit@ratio=0.2", "conduit", donor="template", ratio=0.2),
        described("blend", "cacheblend", donor="previous"),
        described("b", "cacheblend", donor="isolated"),
    ]
    rows = [SimpleNamespace(runner=runner.label, flip_rate=FLIPS[runner.label]) for runner in runners]
    assert script.best_donors(rows, {runner.label: runner for runner in runners}) == {
        "full": ["full"],
        "conduit@donor=previous": ["conduit@donor=previous", "conduit"],
        "conduit@ratio=0.2": ["conduit@ratio=0.2"],
        "blend": ["blend", "b"],
    }
