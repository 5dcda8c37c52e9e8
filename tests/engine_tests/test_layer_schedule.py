"""A recompute budget spread over the layers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.methods.parts.layer_schedule import flat_weights, linear_weights, spread
from runners.models.load import load_model
from runners.profile import ModelProfile, read_profile, write_profile
from workloads.errors import UsageError


@given(
    mean=st.floats(0, 1),
    weights=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40).map(lambda found: sorted(found, reverse=True)),
)
def test_a_spread_keeps_its_mean_stays_within_one_and_never_grows(mean: float, weights: list[float]) -> None:
    ratios = spread(mean, weights)
    assert len(ratios) == len(weights)
    assert sum(ratios) == pytest.approx(mean * len(weights), abs=1e-9)
    assert all(-1e-12 <= ratio <= 1 for ratio in ratios)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(ratios))
    below = [(ratio, weight) for ratio, weight in zip(ratios, weights, strict=True) if ratio < 1]
    for ratio, weight in below:
        assert ratio * below[0][1] == pytest.approx(weight * below[0][0], abs=1e-9), "in proportion where not capped"


@pytest.mark.parametrize("layers", [1, 2, 5, 28, 80])
@pytest.mark.parametrize("profile", [flat_weights, linear_weights])
def test_a_spread_of_one_is_one_everywhere_and_of_zero_zero(layers: int, profile: Any) -> None:
    assert spread(1.0, profile(layers)) == pytest.approx([1.0] * layers)
    assert spread(0.0, profile(layers)) == [0.0] * layers


@pytest.mark.parametrize("mean", [-0.1, 1.1, float("nan")])
def test_a_mean_that_is_no_ratio_is_refused(mean: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        spread(mean, [1.0])


def test_a_profile_that_is_named_takes_the_place_of_the_one_beside_the_weights(lab: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    measured = ModelProfile(
        probe_layers=(1, 3), sensitivity=(0.0, 1e-05, 2.0, 0.5, 0.25), layer_weights=(1, 1, 0.5, 0, 0)
    )
    write_profile(file, measured, "two lines\nof comment")
    assert load_model("tiny", lab.path, "float32", "cpu").profile == ModelProfile()
    model = load_model("tiny", lab.path, "float32", "cpu", file)
    assert model.profile == measured
    assert model.describe()["profile"]["probe_layers"] == [1, 3]
    assert file.read_text("utf-8").startswith("# two lines\n# of comment\n")


def test_a_profile_of_another_model_is_refused(lab: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    write_profile(file, ModelProfile(sensitivity=(0.0,) * 28), "of 28 layers")
    with pytest.raises(UsageError, match=r"mine\.yaml: sensitivity must be a list of 5 numbers"):
        load_model("tiny", lab.path, "float32", "cpu", file)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("probes: [1]", ": unknown key 'probes': did you mean 'probe_layers'?"),
        ("probe_layers: [1, true]", ": probe_layers[1] must be a whole number of at least 0, not True"),
        ("probe_layers: [4]", ": probe_layers must be a list of layers between 0 and 3"),
        ("sensitivity: [0, 0, -1, 0, 0]", ": sensitivity[2] must be a number of at least 0 and below 1e+300, not -1"),
        ("sensitivity: 3", ": sensitivity must be a list, not 3"),
        ("layer_weights: [0, 0, 0, 0, 0]", ": layer_weights must begin above 0 and never grow"),
        ("layer_weights: [1, 2, 0, 0, 0]", ": layer_weights must begin above 0 and never grow"),
        ("", " must map names to values, not None"),
        ("[", " is not valid YAML: while parsing a flow node"),
    ],
)
def test_a_mistake_in_a_profile_is_told_with_its_place(tmp_path: Path, text: str, mistake: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_profile(file, 5)
    assert str(caught.value).startswith(f"{file}{mistake}")
