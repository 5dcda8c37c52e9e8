"""The numbers an engine reports: time in disjoint parts, and work counted the same way for every method."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch

from runners.engine.kv import sketch
from runners.engine.measure.flops import full_prefill_flops
from runners.engine.measure.timing import PARTS, TtftClock
from runners.engine.plan import Plan
from runners.engine.prefill import PrefillResult, prefill
from runners.profile import ModelProfile
from runners.records import Status


@pytest.mark.every_method
def test_the_parts_of_the_time_to_first_token_add_up(lab: Any, name: str) -> None:
    engine = lab.engine(lab.method(name))
    gaps = []
    for text in ("cold ", "warm ", "warm again "):
        timing = asdict(engine.answer(lab.ask(text, lab.picture(0))).timing)
        parts = [timing[f"{part}_ms"] for part in PARTS]
        assert all(part >= 0 for part in parts)
        assert {*timing} == {f"{part}_ms" for part in PARTS} | {
            "ttft_ms",
            "decode_ms",
            "store_ms",
            "host_ttft_ms",
            "disk_ttft_ms",
            "capture_ms",
            "warmup_ms",
            "queue_ms",
        }
        gaps.append(abs(1 - sum(parts) / timing["ttft_ms"]))
    assert min(gaps) < 0.05  # a busy machine may stop the process between two readings, but not every time


def test_a_clock_books_every_stretch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.0, 1.0, 3.0, 6.0, 10.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = TtftClock(torch.device("cpu"))
    for part in ("prepare", "encode", "prepare"):
        clock.cut(part)
    assert clock.stop() == (10_000.0, {"prepare": 4_000.0, "encode": 2_000.0})


def test_work_done_for_media_is_booked_where_it_belongs(lab: Any) -> None:
    engine = lab.engine(lab.method("vlcache"))
    cold = engine.answer(lab.ask("x ", lab.picture(0))).timing
    assert min(cold.prepare_ms, cold.preprocess_ms, cold.encode_ms, cold.prefill_ms, cold.head_ms) > 0


def test_full_counts_exactly_what_full_recomputation_takes(lab: Any) -> None:
    engine = lab.engine(lab.method("full"))
    for request in (lab.ask("only text"), lab.ask("x ", lab.picture(0), lab.clip(0), lab.picture(0))):
        for _ in range(2):
            cache = engine.answer(request).cache
            assert cache.flops == pytest.approx(cache.full_flops, rel=1e-12)


@pytest.mark.every_method(reuses=True)
def test_every_method_counts_less_work_when_warm(lab: Any, name: str) -> None:
    engine = lab.engine(lab.method(name, recompute_ratio=0.1))
    a, b = lab.picture(0, rows=8, cols=8), lab.picture(1, rows=8, cols=8)
    cold = engine.answer(lab.ask("x ", a, b)).cache
    assert cold.flops == pytest.approx(cold.full_flops, rel=1e-12)
    warm = engine.answer(lab.ask("swapped ", b, a)).cache
    assert warm.flops < warm.full_flops
    assert warm.full_flops > 0.9 * cold.full_flops


def test_a_selector_that_looks_is_charged_for_it(lab: Any) -> None:
    requests = [lab.ask("x ", lab.picture(0)), lab.ask("moved ", lab.picture(0))]  # both choose 4 tokens
    blind = lab.answer(lab.method("random-k", recompute_ratio=0.2), *requests).cache
    looking = lab.answer(lab.method("vlcache", recompute_ratio=0.2), *requests).cache
    assert looking.computed_token_layers == blind.computed_token_layers
    assert looking.flops > blind.flops


def test_flops_of_a_prefill_are_counted_by_hand(lab: Any) -> None:
    shape, tokens = lab.adapter.shape, 7
    width, kv_width = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    expected = 0
    for layer in range(shape.layers):
        for token in range(tokens):
            expected += 2 * 2 * shape.hidden * kv_width  # keys and values
            if layer < shape.layers - 1 or token == tokens - 1:
                expected += 2 * 2 * shape.hidden * width  # queries and the output projection
                expected += 3 * 2 * shape.hidden * shape.intermediate  # gate, up and down
                expected += 2 * 2 * width * (token + 1)  # scores and their sum
    expected += 2 * shape.hidden * shape.vocabulary
    assert full_prefill_flops(shape, tokens) == expected


@pytest.mark.every_method
def test_bytes_per_token_are_null_when_nothing_is_stored(lab: Any, name: str) -> None:
    cache = lab.engine(lab.method(name), budget=0).answer(lab.ask(lab.picture(0))).cache
    assert cache.stored_bytes == 0
    assert cache.kv_bytes_per_token is None


@pytest.mark.every_method(uses_kv=True)
def test_bytes_per_token_hold_features_keys_values_probe_and_prefixes(lab: Any, name: str) -> None:
    shape = lab.adapter.shape
    cache = lab.answer(lab.method(name), lab.ask(lab.picture(0))).cache
    expected = 4 * (shape.hidden + 2 * shape.layers * shape.kv_heads * shape.head_dim)
    probed = len(lab.method(name).probe_layers(shape.layers, ModelProfile()))
    expected += probed * (shape.heads * (shape.head_dim + 4) + 4 * min(shape.hidden, sketch.WIDTH))
    prefix = cache.prompt_tokens * (4 * 2 * shape.layers * shape.kv_heads * shape.head_dim + 8)
    assert cache.kv_bytes_per_token == pytest.approx(expected + prefix / cache.vision_tokens)
    assert cache.kv_bytes_per_token == pytest.approx(cache.stored_bytes / cache.vision_tokens)


@pytest.mark.every_method
def test_what_is_loaded_and_rotated_is_what_is_reused(lab: Any, name: str) -> None:
    engine = lab.engine(lab.method(name, recompute_ratio=0.2), strict=True)
    for text in ("x ", "now ", "now "):
        response = engine.answer(lab.ask(text, lab.picture(0), "one ", lab.picture(1)))
        assert response.status is Status.OK, response.error
        cache = response.cache
        assert cache.fallbacks == ()
        assert cache.computed_token_layers <= cache.planned_token_layers
        assert cache.vision_tokens >= cache.loaded_tokens >= cache.rotated_tokens
        untouched = cache.vision_tokens * cache.layers - cache.computed_token_layers
        assert untouched <= cache.loaded_tokens * cache.layers


def test_a_silent_fallback_is_told_and_fails_where_it_must_not_be(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefill that computes more than was planned."""
    engines = [lab.engine(lab.method("full-reuse"), strict=strict) for strict in (False, True)]
    for engine in engines:
        engine.answer(lab.ask("x ", lab.picture(0)))

    def eager(adapter: Any, prompt: Any, kv: Any, plan: Any, capture: Any = None) -> PrefillResult:
        everything = Plan(torch.full_like(plan.depth, adapter.shape.layers))
        return prefill(adapter, prompt, kv, everything, capture)

    monkeypatch.setattr("runners.engine.first_token.prefill", eager)
    lenient, strict = (engine.answer(lab.ask("y ", lab.picture(0))) for engine in engines)
    assert lenient.status is Status.OK
    assert lenient.cache.fallbacks == (
        f"{20 * lenient.cache.layers} vision token-layers were computed, and 0 were planned",
    )
    assert strict.status is Status.REUSE_VIOLATED
    assert strict.error == lenient.cache.fallbacks[0]
