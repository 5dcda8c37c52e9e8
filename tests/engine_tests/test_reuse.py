"""What is found in the stores, in the shapes requests come in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runners.base import Request
from runners.methods.full_recompute import FullRecompute
from workloads.records import Message


@pytest.mark.every_method(reuses=True)
def test_a_medium_known_from_before_is_neither_decoded_nor_preprocessed_nor_encoded(
    lab: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, clip = lab.picture(0), lab.clip(0)
    engine = lab.engine(lab.method(name))
    engine.answer(lab.ask("x ", a, clip))
    for step in ("preprocess", "encode"):
        monkeypatch.setattr(lab.adapter, step, lambda *args, step=step: pytest.fail(f"{step} was called"))
    response = engine.answer(lab.ask("moved ", clip, a))
    assert (response.cache.encoder_hits, response.cache.media_hits) == (2, 2)


@pytest.mark.every_method
def test_the_same_medium_twice_in_a_request_is_encoded_once(
    lab: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, batches = lab.picture(0), []
    encode = lab.adapter.encode

    def counted(pixels: list[Any]) -> Any:
        batches.append(len(pixels))
        return encode(pixels)

    monkeypatch.setattr(lab.adapter, "encode", counted)
    method = lab.method(name)
    engine = lab.engine(method)
    request = lab.ask("left ", a, " right ", a, " same?")
    cold = engine.answer(request).cache
    assert batches == [1]
    assert (cold.media, cold.media_hits, cold.vision_tokens) == (2, 0, 40)
    assert cold.computed_token_layers == 40 * cold.layers
    warm = engine.answer(lab.ask("moved ", a, " and again ", a)).cache
    hits = 2 if method.reuses else 0
    assert (warm.media, warm.media_hits, warm.encoder_hits) == (2, hits, hits)
    assert warm.fallbacks == ()


def test_a_request_with_media_old_and_new_computes_the_new_ones(lab: Any) -> None:
    a, b = lab.picture(0, rows=3), lab.picture(1, rows=5)
    engine = lab.engine(lab.method("full-reuse"))
    engine.answer(lab.ask("first ", a))
    cache = engine.answer(lab.ask("then ", a, b, "?")).cache
    assert (cache.media, cache.media_hits, cache.kv_hits, cache.encoder_hits) == (2, 1, 1, 1)
    assert cache.computed_token_layers == 25 * cache.layers
    cache = engine.answer(lab.ask("now both ", b, a, "?")).cache
    assert (cache.kv_hits, cache.computed_token_layers) == (2, 0)


@pytest.mark.every_method(uses_prefix=True)
def test_a_conversation_goes_on_from_its_own_prefix(lab: Any, name: str) -> None:
    user = Message("user", ("What is in ", lab.picture(0), "?"))
    engine = lab.engine(lab.method(name))
    opening = engine.answer(Request("one", (user,), 4)).cache
    turns = (user, Message("assistant", ("A dog.",)), Message("user", ("And in ", lab.picture(1), "?")))
    going_on = Request("two", turns, 4)
    response = engine.answer(going_on)
    assert response.cache.prefix_tokens == opening.prompt_tokens
    assert (response.cache.media_hits, response.cache.kv_hits) == (1, 1)
    lab.assert_equal(response, lab.answer(FullRecompute(), going_on))
    again = engine.answer(going_on)
    assert again.cache.prefix_tokens == response.cache.prompt_tokens - 1, "the last token is computed for its output"
    lab.assert_equal(again, response)


@pytest.mark.parametrize("block", [1, 7, 16])
def test_a_prefix_is_whole_blocks_and_never_the_last_token(lab: Any, block: int) -> None:
    for filling in range(16):
        request = lab.ask("x" * filling, lab.picture(0))
        cache = lab.answer(lab.method(f"prefix-cache@block={block}"), request, request).cache
        assert cache.prefix_tokens == (cache.prompt_tokens - 1) // block * block


@pytest.mark.every_method(uses_kv=True)
def test_a_prefix_that_ends_inside_a_medium_leaves_its_rest_reusable(lab: Any, name: str) -> None:
    a = lab.picture(0)
    engine = lab.engine(lab.method(name, recompute_ratio=1.0))
    first, second = lab.ask("x ", a, "one"), lab.ask("x ", a, "two", lab.picture(1))
    engine.answer(first)
    prefixes = engine._stores.prefixes
    matched = prefixes.match
    prefixes.match = lambda symbols: replace(matched(symbols), tokens=min(30, matched(symbols).tokens))
    response = engine.answer(second)
    assert response.cache.prefix_tokens == 30
    lab.assert_equal(response, lab.answer(FullRecompute(), second))
