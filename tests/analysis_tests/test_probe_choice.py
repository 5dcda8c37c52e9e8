"""Which layers are probed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runners.analysis.conclude import FEWEST, conclude
from runners.analysis.probing import choose_probe_layers
from runners.profile import read_profile, write_profile

TOKENS = 100


def ranking(*first: int) -> Any:
    """Drift that ranks these tokens highest, in this order."""
    scores = np.zeros(TOKENS, dtype=np.float32)
    scores[list(first)] = np.arange(len(first), 0, -1)
    return scores


def never(groups: Any) -> Any:
    pytest.fail("there was nothing to gain by another layer")


def left_by(losses: dict[tuple[int, ...], float]) -> Any:
    """Groups as measured on one request that loses 1 nat; those not named lose all."""
    return lambda groups: [np.array([losses.get(tuple(sorted(group)), 1.0) for group in groups])]


def test_a_tokens_damage_is_its_part_of_what_each_layer_costs(made_up: Any) -> None:
    deviation = np.array([[0, 0, 0], [1, 2, 0], [3, 0, 0], [np.nan, 1, 1]], dtype=np.float32)
    stale = made_up(kl=(7.0, 10.0, 4.0, 2.0), sizes=(3,), deviation=deviation).staleness
    assert stale.damage == pytest.approx([2 + 4, 8 + 1, 1])


def test_recall_is_of_the_damage_that_could_have_been_chosen(made_up: Any) -> None:
    deviation = np.zeros((4, TOKENS), dtype=np.float32)
    deviation[:, [91, 92]] = 1
    drift = np.stack([ranking(9, 8), ranking(91, 92), ranking(91, 9)])
    seen = made_up(sizes=(TOKENS,), deviation=deviation, drift=drift, kl_probed=np.array([0.5, 0.2, 0.0]))
    chosen = choose_probe_layers([seen], 0.02, never)
    assert chosen is not None
    assert chosen.recall == pytest.approx((0.0, 1.0, 0.5))
    assert chosen.repaired == pytest.approx((0.5, 0.8, 1.0))
    assert chosen.layers == (2,), "what it repairs decides"


@pytest.mark.parametrize(("probed", "layer"), [([0.005, 0.0, 0.0], 0), ([0.02, 0.005, 0.0], 1), ([1.0, 1.2, 0.0], 2)])
def test_ties_go_to_the_shallower_layer(made_up: Any, probed: list[float], layer: int) -> None:
    chosen = choose_probe_layers([made_up(kl_probed=np.array(probed))], 0.1, never)
    assert chosen is not None
    assert chosen.layers == (layer,)
    assert chosen.added[0][1] == pytest.approx(1 - probed[layer])


@pytest.mark.parametrize(
    ("losses", "layers"),
    [
        ({}, (1,)),
        ({(0, 1): 0.395, (1, 2): 0.395}, (1,)),
        ({(0, 1): 0.3, (1, 2): 0.2}, (1, 2)),
        ({(0, 1): 0.205, (1, 2): 0.2}, (0, 1)),
        ({(0, 1): 0.3, (0, 1, 2): 0.1}, (0, 1, 2)),
        ({(0, 1): 0.3, (0, 1, 2): 0.295}, (0, 1)),
        ({(0, 1): 0.0}, (0, 1)),
    ],
)
def test_layers_are_added_while_they_repair_more(
    made_up: Any, losses: dict[tuple[int, ...], float], layers: tuple[int, ...]
) -> None:
    seen = made_up(kl_probed=np.array([0.9, 0.4, 0.5]))
    chosen = choose_probe_layers([seen], 0.1, left_by(losses))
    assert chosen is not None
    assert chosen.layers == layers
    assert chosen.added[-1][1] == pytest.approx(1 - losses.get(layers, 0.4))


def test_at_most_three_layers_are_chosen(made_up: Any) -> None:
    seen = made_up(drift=np.zeros((5, 10), dtype=np.float32), kl_probed=np.full(5, 0.9))
    asked = []

    def try_groups(groups: Any) -> Any:
        asked.append([tuple(group) for group in groups])
        return [np.array([0.8 / len(groups[0])] * len(groups))]

    chosen = choose_probe_layers([seen], 0.1, try_groups)
    assert chosen is not None
    assert chosen.layers == (0, 1, 2)
    assert asked == [[(0, 1), (0, 2), (0, 3), (0, 4)], [(0, 1, 2), (0, 1, 3), (0, 1, 4)]]


def test_a_request_that_reuse_does_not_hurt_has_no_say(made_up: Any) -> None:
    nats = 1e-6
    hurt = made_up(kl_probed=np.array([0.0, 1.0, 1.0]))
    harmless = made_up(loss=nats, kl_probed=np.array([nats, 0.0, 0.0]))
    chosen = choose_probe_layers([hurt, *[harmless] * 20, made_up(stale=False)], 0.1, never)
    assert chosen is not None
    assert chosen.layers == (0,)


@pytest.mark.parametrize(
    "said", [{"stale": False}, {"loss": 0.0}, {"drift": np.empty((0, 10)), "kl_probed": np.empty(0)}]
)
def test_where_there_is_nothing_to_find_nothing_is_chosen(made_up: Any, said: Any) -> None:
    assert choose_probe_layers([made_up(**said)], 0.05, never) is None


def test_a_conclusion_is_a_profile_that_can_be_kept(made_up: Any, tmp_path: Any) -> None:
    observations = [made_up(f"r{seed}", seed=seed) for seed in range(FEWEST)]
    found = conclude(observations, [0.0, 0.1234567, 0.5, 1e-9], [0.0, 0.2, 0.7, 0.01], 0.05, left_by({}))
    assert found.profile.sensitivity == (0.0, 0.123457, 0.5, 1e-9)
    assert found.profile.layer_weights[0] == 1
    assert np.mean(found.ratios) == pytest.approx(0.05)
    file = tmp_path / "vlcache.yaml"
    write_profile(file, found.profile, "made up")
    assert read_profile(file, 4) == found.profile


def test_a_few_requests_keep_no_layer_schedule(made_up: Any) -> None:
    few = [made_up(f"r{seed}", seed=seed) for seed in range(FEWEST - 1)]
    assert conclude(few, [0.0, 0.1, 0.5, 0.0], [0.0, 0.2, 0.7, 0.0], 0.05, left_by({})).profile.layer_weights == ()


def test_without_any_cost_no_probe_layers_are_kept(made_up: Any) -> None:
    found = conclude([made_up(loss=0.0)] * FEWEST, [0.0] * 4, [0.0] * 4, 0.05, never)
    assert found.probes is None
    assert found.profile.probe_layers == ()
    assert found.profile.layer_weights == (1.0,) * 4
