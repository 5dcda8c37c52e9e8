"""Our method: what it decides by its risk model, what it keeps of the text pass, and its options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise, repeat
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runners.base import Request
from runners.engine.engine import Engine
from runners.engine.looks import FEWEST, PAUSE
from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.methods.full_recompute import FullRecompute
from runners.methods.full_reuse import FullReuse
from runners.methods.parts import attention_mass, text_pass
from runners.methods.parts.layer_schedule import flat_weights, linear_weights, spread
from runners.methods.parts.signals import BANDS, SIGNALS, read_signals
from runners.methods.prefix_cache import PrefixCache
from runners.methods.vlcache import VLCache
from runners.profile import ModelProfile, default_probe_layers
from runners.records import Repair
from runners.risk.model import Promise, RiskLevel, RiskModel
from workloads.errors import UsageError

WIDE = 1e6


def risk_model(estimates: dict[float, float], threshold: float = 0.5) -> RiskModel:
    """A risk model that estimates the same whatever the signals: by level, log odds."""
    flat = (0.0,) * len(SIGNALS)
    return RiskModel(
        signals=SIGNALS,
        low=(-WIDE,) * len(SIGNALS),
        high=(WIDE,) * len(SIGNALS),
        centre=flat,
        scale=(1.0,) * len(SIGNALS),
        levels=tuple(RiskLevel(share, flat, odds) for share, odds in estimates.items()),
        promises=(Promise(0.02, threshold, 0, 0.01, 0.1),),
        families=("here",),
        donor="template",
        requests=300,
        confidence=0.95,
    )


def calibrated(lab: Any, method: VLCache, risk: RiskModel) -> Engine:
    """An engine whose model was calibrated."""
    return Engine(lab.adapter, lab.workspace, method, 1 << 28, profile=ModelProfile(probe_layers=(0, 1), risk=risk))


def moved(lab: Any) -> tuple[Request, ...]:
    """Requests of which the last brings two pictures back in the other order."""
    a, b = lab.picture(0, rows=8), lab.picture(1, rows=8)
    return lab.ask("x ", a), lab.ask("y ", b), lab.ask("both ", b, " and ", a, "?")


def answer_last(engine: Engine, requests: Sequence[Request]) -> Any:
    *earlier, last = requests
    for request in earlier:
        engine.answer(request)
    return engine.answer(last)


def test_what_is_harmless_is_answered_by_the_text_pass_as_blind_reuse_answers_it(lab: Any) -> None:
    response = answer_last(calibrated(lab, VLCache(), risk_model({0.0: -3, 0.2: -3})), moved(lab))
    lab.assert_equal(response, lab.answer(FullReuse(donor="template"), *moved(lab)))
    assert response.repair.share == 0
    assert response.repair.risk == pytest.approx(0.0474, abs=1e-4), "the logistic function of -3"
    assert response.cache.computed_token_layers == 0
    assert response.timing.prefill_ms > 0, "the pass is the prefill"
    flops = lab.answer(FullReuse(donor="template"), *moved(lab)).cache.flops
    assert response.cache.flops < 1.5 * flops, "one pass over the weights, not two"


def test_the_cheapest_level_below_the_threshold_is_chosen(lab: Any) -> None:
    response = answer_last(calibrated(lab, VLCache(), risk_model({0.0: 3, 0.2: -3, 0.5: -5})), moved(lab))
    assert response.repair.share == 0.2
    cache = response.cache
    assert 0 < cache.computed_token_layers <= 0.2 * cache.vision_tokens * cache.layers


def test_an_answer_whose_first_token_is_in_doubt_is_computed_before_it_is_given(lab: Any) -> None:
    watching = replace(risk_model({0.0: -3}), least_margin=WIDE)
    response = answer_last(calibrated(lab, VLCache(), watching), moved(lab))
    kept = answer_last(calibrated(lab, VLCache(), risk_model({0.0: -3})), moved(lab))
    full = lab.answer(FullRecompute(), *moved(lab))
    lab.assert_equal(response, full)
    assert response.token_ids == full.token_ids
    assert response.repair == replace(kept.repair, share=1.0, in_doubt=True)
    cache = response.cache
    assert cache.computed_token_layers == cache.planned_token_layers == cache.vision_tokens * cache.layers
    behind_prefix = lab.answer(PrefixCache(), *moved(lab)).demand.prefill_flops
    assert response.demand.prefill_flops == pytest.approx(kept.demand.prefill_flops + behind_prefix), "both passes"
    assert not cache.fallbacks, "it is no silent one"


def test_a_later_token_in_doubt_is_computed_over_what_was_given(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = answer_last(calibrated(lab, VLCache(), risk_model({0.0: -3})), moved(lab))
    engine: Any = calibrated(lab, VLCache(), replace(risk_model({0.0: -3}), least_margin=0.5))
    *earlier, last = moved(lab)
    for request in earlier:
        engine.answer(request)
    margins = chain((1.0, 0.1), repeat(1.0))
    monkeypatch.setattr("runners.engine.first_token.logit_margin", lambda logits: torch.ones(1))
    monkeypatch.setattr("runners.engine.decode.logit_margin", lambda logits: torch.tensor([next(margins)]))
    response = engine.answer(last)
    assert response.token_ids[:2] == kept.token_ids[:2], "what was given stays given"
    assert response.repair == replace(kept.repair, share=1.0, in_doubt=True)
    assert response.cache.computed_token_layers == response.cache.vision_tokens * response.cache.layers
    again = engine.answer(last)
    assert again.cache.prefix_tokens == again.cache.prompt_tokens - 1, "its keys and values are exact now"
    lab.assert_equal(again, lab.answer(FullRecompute(), last))


def test_nothing_is_in_doubt_where_a_level_computes_all_that_is_reused(lab: Any) -> None:
    prefix = [part for number in range(5) for part in ("and ", lab.picture(number))]
    requests = lab.ask(*prefix, "one"), lab.ask("y ", lab.picture(5)), lab.ask(*prefix, "and ", lab.picture(5), "?")
    watching = replace(risk_model({0.0: 3, 0.2: -3}), least_margin=WIDE)
    response = answer_last(calibrated(lab, VLCache(), watching), requests)
    assert (response.repair.share, response.repair.in_doubt) == (0.2, False)
    calm = answer_last(calibrated(lab, VLCache(), replace(watching, least_margin=0.0)), requests)
    assert response.cache == calm.cache, "nothing is computed twice"
    lab.assert_equal(response, lab.answer(FullRecompute(), requests[-1]))


def test_where_no_level_is_safe_everything_is_computed(lab: Any) -> None:
    response = answer_last(calibrated(lab, VLCache(), risk_model({0.0: 3, 0.2: 3})), moved(lab))
    lab.assert_equal(response, lab.answer(FullRecompute(), *moved(lab)))
    assert response.repair == Repair(1.0, 0.0)


def test_a_request_unlike_those_of_the_calibration_is_computed(lab: Any) -> None:
    risk = risk_model({0.0: -3})
    narrow = replace(risk, low=(WIDE, *risk.low[1:]), high=(WIDE, *risk.high[1:]))
    response = answer_last(calibrated(lab, VLCache(), narrow), moved(lab))
    assert response.repair == Repair(1.0, 0.0, unlike=True)
    lab.assert_equal(response, lab.answer(FullRecompute(), *moved(lab)))


def test_nothing_is_promised_for_less_risk_than_was_calibrated(lab: Any) -> None:
    response = answer_last(calibrated(lab, VLCache(risk=0.01), risk_model({0.0: -3})), moved(lab))
    assert response.repair == Repair(1.0, 0.0)


def test_a_budget_holds_whatever_the_risk(lab: Any) -> None:
    response = answer_last(calibrated(lab, VLCache(ratio=0.1), risk_model({0.0: 3})), moved(lab))
    cache = response.cache
    assert 0 < cache.computed_token_layers <= 0.1 * cache.vision_tokens * cache.layers


def test_an_uncalibrated_model_computes_everything_or_what_the_budget_allows(lab: Any) -> None:
    everything = lab.answer(VLCache(), *moved(lab))
    lab.assert_equal(everything, lab.answer(FullRecompute(), *moved(lab)))
    some = lab.answer(VLCache(ratio=0.2), *moved(lab))
    assert some.repair == Repair(0.2, None)
    assert 0 < some.cache.computed_token_layers <= 0.2 * some.cache.vision_tokens * some.cache.layers


def test_behind_a_new_medium_some_tokens_are_repaired_however_low_the_risk_and_it_is_stored(lab: Any) -> None:
    a, b = lab.picture(0, rows=8), lab.picture(1, rows=4)
    engine = calibrated(lab, VLCache(), risk_model({0.0: -3, 0.2: -3}))
    engine.answer(lab.ask("x ", a))
    partial = answer_last(engine, [lab.ask("before ", b, " and ", a, "?")])
    assert partial.repair.share == 0.2
    later = answer_last(engine, [lab.ask("later ", b, " then ", a, "?")])
    assert later.cache.kv_hits == 2
    assert later.repair.share == 0


def test_a_new_medium_behind_all_reused_ones_tells_them_nothing(lab: Any) -> None:
    a, b = lab.picture(0, rows=8), lab.picture(1, rows=4)
    requests = (lab.ask("x ", a), lab.ask("before ", a, " and ", b, "?"))
    response = answer_last(calibrated(lab, VLCache(), risk_model({0.0: -3, 0.2: -3})), requests)
    assert response.repair.share == 0
    assert response.timing.prefill_ms > 0, "the pass is the prefill, and the new medium is computed once"
    lab.assert_equal(response, lab.answer(FullReuse(donor="template"), *requests))


def test_a_model_without_a_level_of_repair_computes_everything_behind_a_new_medium(lab: Any) -> None:
    a, b = lab.picture(0, rows=8), lab.picture(1, rows=4)
    requests = (lab.ask("x ", a), lab.ask("before ", b, " and ", a, "?"))
    response = answer_last(calibrated(lab, VLCache(), risk_model({0.0: -3})), requests)
    assert response.repair == Repair(1.0, 0.0)
    lab.assert_equal(response, lab.answer(FullRecompute(), *requests))


def test_few_reusable_tokens_are_computed_without_a_choice(lab: Any) -> None:
    a, text = lab.picture(0, rows=2), "many words " * 60
    response = answer_last(
        calibrated(lab, VLCache(), risk_model({0.0: -3})), (lab.ask("x ", a), lab.ask("y ", a, text))
    )
    lab.assert_equal(response, lab.answer(FullRecompute(), lab.ask("y ", a, text)))


def test_what_stands_before_the_first_reused_medium_is_computed_once(lab: Any, observe: Any) -> None:
    method = VLCache(ratio=0.2)
    seen = observe(method)
    lab.answer(method, *moved(lab))
    context, plan, _ = seen.last
    rehearsed = plan.rehearsed
    assert rehearsed is not None
    before_question = torch.arange(len(rehearsed)) < context.layout.segments[-1].end
    assert torch.equal(rehearsed, before_question & (context.required > 0))
    assert bool(rehearsed.any())
    assert torch.equal(plan.remaining > 0, (plan.depth > 0) & ~rehearsed)


def test_a_calibration_with_other_signals_is_refused(lab: Any) -> None:
    risk = replace(risk_model({0.0: -3}), signals=("drift", *SIGNALS[1:]))
    with pytest.raises(UsageError, match="calibrated with other signals than this version reads: calibrate again"):
        calibrated(lab, VLCache(), risk)
    calibrated(lab, VLCache(share="0.1"), risk)


def test_a_calibration_with_other_donors_does_not_count(lab: Any) -> None:
    response = answer_last(calibrated(lab, VLCache(donor="previous"), risk_model({0.0: -3})), moved(lab))
    assert response.repair == Repair(1.0, 0.0)
    lab.assert_equal(response, lab.answer(FullRecompute(), *moved(lab)))


def test_probes_other_than_those_of_the_calibration_change_the_choice_of_tokens_alone(lab: Any) -> None:
    risk = risk_model({0.0: -3})
    one, other = (answer_last(calibrated(lab, VLCache(probe=p), risk), moved(lab)) for p in ("0", "0+1"))
    lab.assert_equal(one, other)


def both_again(lab: Any, engine: Engine, count: int) -> list[Any]:
    """Responses to requests that bring both pictures of ``moved`` back, each behind another text."""
    *_, last = moved(lab)
    return [engine.answer(greeted(last, f"{number} ")) for number in range(count)]


def greeted(request: Request, greeting: str) -> Request:
    *earlier, last = request.messages
    return replace(request, messages=(*earlier, replace(last, content=(greeting, *last.content))))


def test_where_looks_end_with_everything_computed_there_are_no_more_for_a_while(lab: Any) -> None:
    unlike = replace(risk_model({0.0: -3}), high=(-WIDE,) * len(SIGNALS))
    engine = calibrated(lab, VLCache(), unlike)
    answer_last(engine, moved(lab)[:2])
    responses = both_again(lab, engine, FEWEST + PAUSE + 2)
    looked, without = Repair(1.0, 0.0, unlike=True), Repair(1.0, 0.0, skipped=True)
    assert [response.repair for response in responses] == [looked] * FEWEST + [without] * PAUSE + [looked, without]
    assert responses[FEWEST].cache.flops < responses[0].cache.flops
    engine.reset()
    assert answer_last(engine, moved(lab)).repair == looked, "forgotten with the stores"


def test_what_is_in_doubt_after_every_look_is_computed_without_one(lab: Any) -> None:
    engine = calibrated(lab, VLCache(), replace(risk_model({0.0: -3}), least_margin=WIDE))
    answer_last(engine, moved(lab)[:2])
    *looked, last = both_again(lab, engine, FEWEST + 1)
    assert all(response.repair.in_doubt for response in looked)
    assert last.repair == Repair(1.0, 0.0, skipped=True)
    lab.assert_equal(last, lab.answer(FullRecompute(), greeted(moved(lab)[-1], f"{FEWEST} ")))


@pytest.mark.parametrize(
    ("method", "odds", "repair"), [(VLCache(), -3, Repair(0.0, None)), (VLCache(ratio=0.1), 3, Repair(0.1, None))]
)
def test_looks_that_save_something_go_on(lab: Any, method: VLCache, odds: float, repair: Repair) -> None:
    engine = calibrated(lab, method, risk_model({0.0: odds}))
    answer_last(engine, moved(lab)[:2])
    assert {replace(response.repair, risk=None) for response in both_again(lab, engine, FEWEST + 2)} == {repair}


def test_a_model_for_which_drift_was_not_needed_stores_no_probes(lab: Any) -> None:
    risk = risk_model({0.0: 3, 0.2: -3})
    fitted = calibrated(lab, VLCache(), replace(risk, ranking="written"))
    asked = calibrated(lab, VLCache(ranking="written", share="0.2"), risk)
    one, same, probed = (answer_last(e, moved(lab)) for e in (fitted, asked, calibrated(lab, VLCache(), risk)))
    assert one.repair.share == 0.2
    lab.assert_equal(one, same)
    assert one.cache.kv_bytes_per_token < probed.cache.kv_bytes_per_token
    with pytest.raises(UsageError, match=r"probe=0: .* by written, which probes nothing; add ranking=written\+drift"):
        calibrated(lab, VLCache(probe="0"), replace(risk, ranking="written"))


def test_a_calibration_with_another_ranking_does_not_count(lab: Any) -> None:
    response = answer_last(calibrated(lab, VLCache(ranking="written"), risk_model({0.0: -3})), moved(lab))
    assert response.repair == Repair(1.0, 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"risk": 0.0}, "risk must be between 0 and 1"),
        ({"ratio": 1.5}, "ratio must be between 0 and 1"),
        ({"share": "most"}, "share must be 'auto' or a number from 0 to 1"),
        ({"share": "1.5"}, "share must be 'auto' or a number from 0 to 1"),
        ({"probe": "first"}, "probe must be 'auto' or layers such as 0\\+1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VLCache(**options)


def test_signals_are_what_they_are_called(lab: Any) -> None:
    found: list[tuple[Any, tuple[float, ...]]] = []

    class Reading(VLCache):
        def plan(self, context: PlanContext) -> Plan:
            if context.reusable:
                text = text_pass.run_text_pass(context)
                found.append((text.attention, read_signals(context, text)))
            return super().plan(context)

    lab.answer(Reading(), *moved(lab))
    attention, values = found[-1]
    by_name = dict(zip(SIGNALS, values, strict=True))
    mean = attention.tensor_split(BANDS)[0].mean(dim=0)
    assert by_name["read.0"] == pytest.approx(float(mean.sum().log()), abs=1e-5)
    assert by_name["peak.0"] == pytest.approx(float(mean.max().log()), abs=1e-5)
    weights = mean / mean.sum()
    assert by_name["breadth.0"] == pytest.approx(-float(weights.square().sum().log()), abs=1e-4)
    assert by_name["reused"] == pytest.approx(0, abs=1e-9), "no medium is new"
    assert by_name["surprise"] <= by_name["doubt"] + 1e-6, "the second best is one of the others"


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


@pytest.mark.parametrize("most", [1, 3000])
def test_what_the_question_reads_does_not_depend_on_how_much_is_computed_at_once(
    lab: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    found = []

    class Reading(VLCache):
        def plan(self, context: PlanContext) -> Plan:
            if context.reusable:
                for at_once in (attention_mass.MOST_AT_ONCE, most):
                    monkeypatch.setattr(attention_mass, "MOST_AT_ONCE", at_once)
                    found.append(text_pass.run_text_pass(context))
            return super().plan(context)

    lab.answer(Reading(), *moved(lab))
    whole, split = found[-2:]
    torch.testing.assert_close(split.attention, whole.attention)
    torch.testing.assert_close(split.written, whole.written)
    torch.testing.assert_close(whole.attention.sum(dim=-1) < 1, torch.ones(lab.adapter.shape.layers, dtype=torch.bool))


def test_a_share_that_comes_to_no_token_is_no_repair(lab: Any) -> None:
    a, b = lab.picture(0, rows=1), lab.picture(1, rows=1)
    requests = lab.ask("x ", a), lab.ask("y ", b), lab.ask("both ", b, " and ", a, "?")
    response = answer_last(calibrated(lab, VLCache(), risk_model({0.0: 3, 0.01: -3})), requests)
    lab.assert_equal(response, lab.answer(FullRecompute(), *requests))
    assert response.repair is None or response.repair.share == 1


def test_a_share_of_one_is_full_recomputation_behind_an_exact_prefix_too(lab: Any) -> None:
    a, b = lab.picture(0), lab.picture(1)
    cache = lab.answer(VLCache(share="1"), lab.ask("same words ", a, b), lab.ask("same words ", b, a)).cache
    assert cache.prefix_tokens > 0
    assert cache.computed_token_layers == cache.planned_token_layers == cache.vision_tokens * cache.layers


def test_a_prompt_may_end_with_a_medium(lab: Any) -> None:
    requests = lab.ask("x ", lab.picture(0)), lab.ask("y ", lab.picture(0))
    cache = lab.answer(VLCache(share="0.3"), *requests).cache
    assert 0 < cache.computed_token_layers < cache.vision_tokens * cache.layers
