"""The risk model in a profile: kept and read again, and refused where its parts do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runners.profile import ModelProfile, read_profile, write_profile
from runners.risk.calibrate import calibrate
from runners.risk.model import DEFAULT_RANKING, RiskModel, logistic
from runners.risk.outcomes import RIGHT, CalibrationRequest, Outcome
from workloads.errors import UsageError


@pytest.fixture
def model() -> RiskModel:
    rng = np.random.default_rng(3)
    requests = [
        CalibrationRequest(
            "some", f"case-{case}", (rng.normal(), rng.normal()), {DEFAULT_RANKING: {0.0: kept, 0.1: RIGHT}}
        )
        for case in range(40)
        for kept in [Outcome(changed=case % 5 == 0, margin=9.0)]
    ]
    return calibrate(("drift", "noise"), "template", requests)


def test_a_profile_keeps_it(tmp_path: Path, model: RiskModel) -> None:
    file = tmp_path / "vlcache.yaml"
    write_profile(file, ModelProfile(probe_layers=(0, 2), risk=model), "made by a test")
    assert read_profile(file, 6) == ModelProfile(probe_layers=(0, 2), risk=model)


def test_parts_that_do_not_fit_are_refused_in_one_line(tmp_path: Path, model: RiskModel) -> None:
    file, level = tmp_path / "vlcache.yaml", model.levels[-1]
    for wrong, message in (
        (replace(model, centre=(0.0,)), "one number for each of its 2 signals in every list"),
        (
            replace(model, levels=(level, replace(level, share=0.0))),
            "levels of risk must ascend, below a share of 1",
        ),
        (replace(model, promises=model.promises[::-1]), "promises of risk must ascend"),
    ):
        write_profile(file, ModelProfile(risk=wrong), "made by a test")
        with pytest.raises(UsageError, match=message) as caught:
            read_profile(file, 6)
        assert "\n" not in str(caught.value)


def test_the_least_cautious_promise_that_suffices_is_taken(model: RiskModel) -> None:
    assert model.promise(0.03) == model.promises[1]
    assert model.promise(0.5) == model.promises[-1]
    assert model.promise(0.001) is None


def test_the_logistic_function_does_not_overflow() -> None:
    assert logistic(-1e6) == 0
    assert logistic(1e6) == 1
    assert logistic(0) == 0.5
