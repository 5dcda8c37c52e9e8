"""The options of our method: it never spends more than it may, and settles what agrees."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runners.methods.parts.layer_schedule import flat_weights, linear_weights, spread
from runners.methods.vlcache import VLCache
from runners.profile import default_probe_layers, reading_layers
from runners.records import CacheStats


def _spent(lab: Any, method: VLCache) -> CacheStats:
    """What a request costs whose two pictures come back in the other order."""
    a, b = lab.picture(0, rows=8), lab.picture(1, rows=8)
    cache: CacheStats = lab.answer(method, lab.ask("x ", a), lab.ask("y ", b), lab.ask("both ", b, " and ", a)).cache
    return cache


@pytest.mark.parametrize("profile", ["flat", "linear", "auto"])
@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.7])
def test_it_never_spends_more_than_its_ratio(lab: Any, profile: Any, ratio: float) -> None:
    cache = _spent(lab, VLCache(ratio=ratio, profile=profile))
    assert 0 < cache.computed_token_layers <= ratio * cache.vision_tokens * cache.layers


def test_the_larger_the_tolerance_the_less_is_spent(lab: Any) -> None:
    spent = [_spent(lab, VLCache(ratio=0.3, probe="0+1", tolerance=tolerance)) for tolerance in (0.0, 0.5, 1e9)]
    planned = {cache.planned_token_layers for cache in spent}
    computed = [cache.computed_token_layers for cache in spent]
    assert planned == {computed[0]}, "without a tolerance all that is planned is computed"
    assert computed[0] > computed[1] > computed[2]
    start = computed[0] // spent[0].layers
    assert computed[2] == start * 3, "nothing settles before the layer behind the last one probed"


def test_no_layer_computes_more_than_the_largest_ratio(lab: Any) -> None:
    free, capped = (_spent(lab, VLCache(ratio=0.3, profile="linear", max_ratio=most)) for most in (1.0, 0.3))
    flat = _spent(lab, VLCache(ratio=0.3, tolerance=0.0))
    assert capped.computed_token_layers == _spent(lab, VLCache(ratio=0.3, max_ratio=0.3)).computed_token_layers
    assert free.planned_token_layers <= flat.planned_token_layers
    assert _spent(lab, VLCache(ratio=0.5, max_ratio=0.1)).planned_token_layers <= 0.1 * flat.vision_tokens * flat.layers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": -1}, "tolerance must be a number of at least 0"),
        ({"max_ratio": 1.5}, "max_ratio must be between 0 and 1"),
        ({"lead": -1}, "lead must not be negative"),
        ({"question_layers": "0"}, "question_layers must be 'auto' or a number of layers"),
        ({"probe": "first"}, "probe must be 'auto' or layers such as 0\\+1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VLCache(**options)


@given(costs=st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_the_question_is_read_as_deep_as_staleness_costs(costs: list[float]) -> None:
    layers = reading_layers(costs)
    assert 1 <= layers <= len(costs)
    assert sum(costs[:layers]) >= 0.95 * sum(costs) * (1 - 1e-9)
    assert layers == 1 or sum(costs[: layers - 1]) < 0.95 * sum(costs)


def test_fewer_question_layers_cost_less(lab: Any) -> None:
    flops = [
        _spent(lab, VLCache(ratio=0.3, question_layers=layers, tolerance=0)).flops for layers in ("1", "2", "auto")
    ]
    assert flops[0] < flops[1] < flops[2]
    assert flops[2] == _spent(lab, VLCache(ratio=0.3, question_layers="99", tolerance=0)).flops


@given(layers=st.integers(2, 100))
def test_unmeasured_models_are_probed_in_their_first_two_thirds(layers: int) -> None:
    probes = default_probe_layers(layers)
    assert 1 <= len(probes) <= 4
    assert list(probes) == sorted(set(probes))
    assert probes[0] >= 0
    assert probes[-1] <= min(layers - 2, round(layers * 2 / 3))
    assert layers < 8 or probes[-1] >= layers / 2


@hypothesis_settings(deadline=None)
@given(layers=st.integers(1, 40), ratio=st.floats(0, 1), most=st.floats(0, 1), linear=st.booleans())
def test_a_budget_is_spread_without_growth_and_within_the_cap(
    layers: int, ratio: float, most: float, linear: bool
) -> None:
    ratios = spread(ratio, linear_weights(layers) if linear else flat_weights(layers), most)
    assert all(0 <= b <= a + 1e-12 for a, b in pairwise(ratios))
    assert max(ratios) <= most + 1e-9
    assert sum(ratios) / layers == pytest.approx(min(ratio, most), abs=1e-9)


def test_layers_that_a_profile_leaves_out_get_what_no_other_can_take() -> None:
    assert spread(0.25, [1, 1, 0, 0]) == pytest.approx([0.5, 0.5, 0, 0], abs=1e-6)
    assert spread(0.75, [1, 1, 0, 0]) == pytest.approx([1, 1, 0.5, 0.5])
    assert spread(1, [1, 1, 0, 0]) == pytest.approx([1, 1, 1, 1])


def test_ratio_one_is_full_recomputation_behind_an_exact_prefix_too(lab: Any) -> None:
    method = VLCache(ratio=1.0, probe="0", tolerance=1e9)
    a, b = lab.picture(0), lab.picture(1)
    cache = lab.answer(method, lab.ask("same words ", a, b), lab.ask("same words ", b, a)).cache
    assert cache.prefix_tokens > 0
    assert cache.computed_token_layers == cache.planned_token_layers == cache.vision_tokens * cache.layers


def test_a_prompt_may_end_with_a_medium(lab: Any) -> None:
    context_text = lab.ask("x ", lab.picture(0)), lab.ask("y ", lab.picture(0))
    cache = lab.answer(VLCache(ratio=0.3), *context_text).cache
    assert 0 < cache.computed_token_layers < cache.vision_tokens * cache.layers
