"""The equality laws every method and adapter must obey, on a tiny model with random weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from inspect import signature
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runners.defaults import DonorPolicy, RunnerDefaults
from runners.divergence import kl_divergence
from runners.engine.adapters.registry import ADAPTERS
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.rotary import rotate
from runners.engine.method import Method, PlanContext
from runners.engine.plan import Plan
from runners.methods.cacheblend import CacheBlend
from runners.methods.encoder_cache import EncoderCache
from runners.methods.full_recompute import FullRecompute
from runners.methods.full_reuse import FullReuse
from runners.methods.leading_k import LeadingK
from runners.methods.parts.ratio import RatioMethod
from runners.methods.prefix_cache import PrefixCache
from runners.records import Status
from runners.registry import METHODS, load_method, parse_specs
from workloads.records import Message


def method(text: str, ratio: float = 0.2) -> Method:
    (spec,) = parse_specs([text], RunnerDefaults(recompute_ratio=ratio))
    return load_method(spec)


@dataclass(frozen=True)
class ReuseWithoutPrefix(FullReuse):
    """Reuses every medium's stored keys and values even where a prefix would do."""

    uses_prefix: ClassVar[bool] = False


@pytest.fixture(scope="module", params=list(ADAPTERS))
def lab(request: pytest.FixtureRequest, lab_of: Callable[[str], Any]) -> Any:
    """Every law holds for every family."""
    return lab_of(request.param)


def company(lab: Any) -> Any:
    """A picture beside another one, for LLaVA-OneVision sees a picture that is alone in its prompt in another way."""
    return lab.picture(9, rows=1, cols=2)


def prompts(lab: Any) -> list[Any]:
    a, b, c = (lab.picture(seed, rows=3 + seed) for seed in range(3))
    return [
        lab.ask("Just text, no picture."),
        lab.ask("One: ", a, "what is it?"),
        lab.ask(a, b, "compare"),
        lab.ask("Three ", c, " and ", a, " and ", b, " then?"),
        lab.ask(a, "the same twice", a),
    ]


@cache
def in_full(lab: Any, index: int) -> Any:
    """The response to a prompt without a store, computed once for all tests of a family."""
    return lab.answer(FullRecompute(), prompts(lab)[index])


@cache
def by_the_stock_model(lab: Any, index: int) -> tuple[Any, list[int]]:
    """First-token logits and greedy answer of the stock model to a prompt, computed once for all tests of a family."""
    request = prompts(lab)[index]
    return lab.stock_logits(request), lab.stock_tokens(request)


@pytest.mark.parametrize("index", range(5))
def test_computing_everything_equals_the_stock_forward_and_generate(lab: Any, index: int) -> None:
    logits, tokens = by_the_stock_model(lab, index)
    response = in_full(lab, index)
    lab.assert_equal(response, logits)
    assert list(response.token_ids) == tokens


@pytest.mark.every_method
def test_a_cold_request_is_computed_as_without_a_store(lab: Any, name: str) -> None:
    for index, request in enumerate(prompts(lab)):
        lab.assert_equal(lab.answer(method(name), request), in_full(lab, index), tolerance=0)


@pytest.mark.every_method
def test_a_repeated_request_is_exact_for_every_method(lab: Any, name: str) -> None:
    request = prompts(lab)[3]
    logits, tokens = by_the_stock_model(lab, 3)
    response = lab.answer(method(name), request, request)
    lab.assert_equal(response, logits)
    assert list(response.token_ids) == tokens


def test_pure_reuse_is_exact_where_the_donor_context_is_the_prefix(lab: Any) -> None:
    a, b = lab.picture(0), lab.moving(1)
    donor, target = lab.ask("Look ", a, b, "first?"), lab.ask("Look ", a, b, "another question?")
    response = lab.answer(ReuseWithoutPrefix(), donor, target)
    assert response.cache is not None
    assert response.cache.computed_token_layers == 0
    assert response.cache.kv_hits == 2
    lab.assert_equal(response, lab.answer(FullRecompute(), target))


@pytest.mark.every_method(takes="recompute_ratio")
@pytest.mark.parametrize("donor", ["previous", "template", "isolated"])
def test_at_ratio_one_every_method_equals_full(lab: Any, name: str, donor: DonorPolicy) -> None:
    equals_full_at_ratio_one(lab, name, donor)


@pytest.mark.every_method(takes="recompute_ratio", variants=True)
def test_at_ratio_one_every_option_equals_full(lab: Any, name: str) -> None:
    equals_full_at_ratio_one(lab, name, "previous")


def equals_full_at_ratio_one(lab: Any, name: str, donor: DonorPolicy) -> None:
    """Check a runner spec on a prompt whose media were all computed in another order and after other text."""
    a, b, clip = lab.picture(0), lab.picture(1), lab.moving(2)
    c = company(lab)
    requests = [lab.ask("x", c, a), lab.ask(b, "y", clip, c), lab.ask("moved ", clip, a, " and ", b, "?", name="last")]
    (spec,) = parse_specs([name], RunnerDefaults(recompute_ratio=1.0, donor=donor))
    response = lab.answer(load_method(spec), *requests)
    expected = lab.answer(FullRecompute(), requests[-1])
    assert response.cache is not None
    assert response.cache.computed_token_layers == response.cache.vision_tokens * response.cache.layers
    lab.assert_equal(response, expected)
    assert response.token_ids == expected.token_ids


@hypothesis_settings(max_examples=12)
@given(
    order=st.lists(st.integers(0, 4), min_size=2, max_size=4),
    block=st.sampled_from([1, 7, 16]),
    budget=st.sampled_from([0, 200_000, 1 << 28]),
)
def test_lossless_methods_are_exact_in_any_order_block_and_budget(
    lab: Any, order: list[int], block: int, budget: int
) -> None:
    requests = prompts(lab)
    for lossless in (PrefixCache(block=block), EncoderCache()):
        engine = lab.engine(lossless, budget)
        for index in order:
            lab.assert_equal(engine.answer(requests[index]), in_full(lab, index))


def test_re_rotating_stored_keys_equals_computing_them_at_the_new_position(lab: Any) -> None:
    pixels = lab.adapter.preprocess(lab.picture(0))
    positions = lab.adapter.media_positions(pixels.grid)
    k = torch.randn(2, positions.shape[1], lab.adapter.shape.head_dim)
    near, far = (lab.adapter.rotary(positions + start) for start in (3, 170))
    delta = lab.adapter.rotary(torch.full_like(positions, 167))
    torch.testing.assert_close(rotate(rotate(k, *near), *delta), rotate(k, *far), atol=1e-4, rtol=0)


def test_rotation_left_out_is_visible(lab: Any) -> None:
    """In the mean of a few pictures: with random weights one alone may happen to come out well."""
    moved = left = 0.0
    for seed in range(4):
        donor = lab.ask(lab.picture(seed), company(lab), "x")
        system, user = donor.messages
        turn = (Message("user", ("now a good deal of text is before it",)), Message("assistant", ("indeed",)))
        target = replace(donor, messages=(system, *turn, user))
        expected = lab.answer(FullRecompute(), target).first_logits
        moved += kl_divergence(expected, lab.answer(FullReuse(rotate=True), donor, target).first_logits)
        left += kl_divergence(expected, lab.answer(FullReuse(rotate=False), donor, target).first_logits)
    assert left > 1.5 * moved


class Seen(FullReuse):
    """Full reuse that keeps what the engine handed to the method."""

    contexts: ClassVar[list[PlanContext]] = []

    def plan(self, context: PlanContext) -> Plan:
        self.contexts.append(context)
        return super().plan(context)


def test_layer_zero_of_reused_media_is_exact(lab: Any) -> None:
    a, b = lab.picture(0), lab.picture(1)
    Seen.contexts.clear()
    engine = lab.engine(Seen())
    engine.answer(lab.ask("first ", a, "?", company(lab)))
    engine.answer(lab.ask("other ", b, "and", a, "?"))
    context = Seen.contexts[-1]
    (part,) = context.reusable
    everything = lab.engine(FullRecompute())
    layer = lab.adapter.layers[0]
    with torch.inference_mode():
        _, raw_k, v = layer.project_kv(context.prompt.hidden)
        k = rotate(raw_k, context.prompt.cos[: len(raw_k[0])], context.prompt.sin[: len(raw_k[0])])
    span = slice(part.start, part.end)
    torch.testing.assert_close(context.kv.k[0, :, span], k[:, span], atol=1e-5, rtol=0)
    torch.testing.assert_close(context.kv.v[0, :, span], v[:, span], atol=1e-5, rtol=0)
    assert everything.answer(lab.ask(a)).status is Status.OK


def cache_argument(text: Any) -> str:
    """What the stock language model calls its KV cache: ``past_key_values``, or ``cache`` in later transformers."""
    return "cache" if "cache" in signature(text.forward).parameters else "past_key_values"


def test_the_greedy_continuation_is_a_token_by_token_forward_on_the_same_stale_cache(lab: Any) -> None:
    from transformers import DynamicCache

    a, b = lab.picture(0), lab.picture(1)
    Seen.contexts.clear()
    engine = lab.engine(Seen())
    engine.answer(lab.ask("first ", a, "?", company(lab)))
    response = engine.answer(lab.ask("other ", b, "and", a, "?", max_new_tokens=6))
    context = Seen.contexts[-1]
    length = context.layout.tokens
    cache = DynamicCache()
    for layer in range(context.layers):
        cache.update(
            context.kv.k[layer, None, :, :length].clone(), context.kv.v[layer, None, :, :length].clone(), layer
        )
    tokens = [response.token_ids[0]]
    with torch.no_grad():
        while len(tokens) < len(response.token_ids):
            axes = (3,) if lab.adapter.shape.rope_axes == 3 else ()
            position = torch.full((*axes, 1, 1), context.layout.next_position + len(tokens) - 1)
            out = lab.stock.model.language_model(
                inputs_embeds=lab.stock.get_input_embeddings()(torch.tensor([tokens[-1:]])),
                position_ids=position,
                **{cache_argument(lab.stock.model.language_model): cache},
                use_cache=True,
            )
            tokens.append(int(lab.stock.lm_head(out.last_hidden_state)[0, -1].argmax()))
    assert tokens == list(response.token_ids)


@pytest.mark.every_method
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5])
def test_executed_equals_planned_and_adaptive_methods_only_shrink(lab: Any, name: str, ratio: float) -> None:
    requests = [
        lab.ask("x", lab.picture(0), company(lab)),
        lab.ask(lab.picture(1), "y", company(lab)),
        lab.ask(lab.picture(1), lab.picture(0), "z"),
    ]
    tested = method(name, ratio)
    for as_asked in {tested, tested.for_random_weights()}:
        cache = lab.answer(as_asked, *requests).cache
        assert cache is not None
        executed, planned = cache.computed_token_layers, cache.planned_token_layers
        assert executed <= planned if as_asked.adaptive else executed == planned
        if isinstance(as_asked, RatioMethod) and as_asked.keeps_to_ratio:
            share = ratio * cache.vision_tokens
            most = math.ceil(share - 1e-9) if as_asked.rounds_up else share + 1e-9
            assert executed <= most * cache.layers


def test_the_traits_that_laws_go_by_are_declared() -> None:
    assert {name for name in METHODS if method(name).adaptive} >= {"cacheblend", "kvshare"}
    kept = {name: found for name in METHODS if isinstance(found := method(name), RatioMethod) and found.keeps_to_ratio}
    assert kept.keys() >= {"conduit", "oracle", "prophetkv", "random-k", "vlcache-paper"}
    assert {name for name, found in kept.items() if found.rounds_up} == {"conduit", "prophetkv"}


def test_cacheblend_computes_two_layers_of_all_and_the_chosen_tokens_below(lab: Any) -> None:
    a, b = lab.picture(0), lab.picture(1)
    requests = [lab.ask("x", a, b), lab.ask("other", b, a, "z")]
    response = lab.answer(CacheBlend(ratio=0.25), *requests)
    assert response.cache is not None
    layers = response.cache.layers
    vision = response.cache.vision_tokens
    assert response.cache.computed_token_layers == vision * 2 + vision // 4 * (layers - 2)


def test_the_leading_run_of_the_first_medium_after_exact_text_is_exact_and_a_scattered_set_is_not(lab: Any) -> None:
    a, b = lab.picture(0), lab.picture(1)
    donor, target = lab.ask(b, a, "x"), lab.ask("some text first ", a, b, "z")
    buffers, held = {}, {}
    for name, plan_of in {
        "full": lambda context: context.compute(context.candidates()),
        "leading": lambda context: context.compute(context.candidates()[:8]),
        "scattered": lambda context: context.compute(context.candidates()[1:16:2]),
    }.items():

        @dataclass(frozen=True)
        class Chosen(FullReuse):
            def plan(self, context: PlanContext, plan_of: Any = plan_of, name: str = name) -> Plan:
                buffers[name] = context
                return Plan(plan_of(context))

        lab.answer(Chosen(), donor, target)
        held[name] = KVBuffer(buffers[name].kv.k.clone(), buffers[name].kv.v.clone())
    start = buffers["full"].reusable[0].start
    run, spots = slice(start, start + 8), slice(start + 1, start + 16, 2)
    full = held["full"]
    torch.testing.assert_close(held["leading"].v[:, :, run], full.v[:, :, run], atol=1e-5, rtol=0)
    torch.testing.assert_close(held["leading"].k[:, :, run], full.k[:, :, run], atol=1e-5, rtol=0)
    assert (held["scattered"].v[-1, :, spots] - full.v[-1, :, spots]).abs().max() > 1e-3


def test_leading_k_never_recomputes_an_exact_prefix(lab: Any) -> None:
    a, b, c = lab.picture(0), lab.picture(1), company(lab)
    response = lab.answer(LeadingK(k=4), lab.ask("same ", a, "x", c), lab.ask(c, b), lab.ask("same ", a, b, "z"))
    assert response.cache is not None
    assert response.cache.computed_token_layers == 4 * response.cache.layers
    assert response.cache.kv_hits == 2
