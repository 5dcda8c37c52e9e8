"""Stores stay within their bytes, and what no longer lies there is said, never passed over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runners.records import Status


def bytes_of(lab: Any, *requests: Any, name: str = "encoder-cache") -> int:
    """What an engine without limits holds after these requests."""
    engine = lab.engine(lab.method(name))
    held: list[int] = [engine.answer(request).cache.stored_bytes for request in requests]
    return held[-1]


@pytest.mark.every_method(reuses=True)
@hypothesis_settings(max_examples=4)
@given(
    donor=st.sampled_from(["previous", "template", "isolated"]),
    budget=st.integers(0, 800_000),
    order=st.lists(st.integers(0, 3), min_size=2, max_size=5),
)
def test_no_store_ever_holds_more_than_its_budget(
    lab: Any, name: str, donor: str, budget: int, order: list[int]
) -> None:
    a, b, clip = lab.picture(0), lab.picture(1, rows=6), lab.clip(0)
    requests = [lab.ask("x ", a), lab.ask(b, "y"), lab.ask("z", clip, a), lab.ask(b, clip, b)]
    engine = lab.engine(lab.method(name, donor=donor), budget)
    sent: set[str] = set()
    for index in order:
        response = engine.answer(requests[index])
        assert response.status is Status.OK
        assert response.cache.stored_bytes <= budget
        media = [part for part in requests[index].messages[-1].content if not isinstance(part, str)]
        missed = len(media) - response.cache.encoder_hits
        named = [line.split()[0] for line in response.cache.fallbacks]
        known = [medium.name for medium in media if medium.name in sent]
        assert set(named) <= set(known), "only what was sent before can fall back"
        assert missed <= len(media) - len(known) + len([n for n in known if n in named]), (
            "nothing falls back in silence"
        )
        sent.update(medium.name for medium in media)


@pytest.mark.every_method(reuses=True)
def test_without_a_tight_budget_nothing_falls_back(lab: Any, name: str) -> None:
    a, b = lab.picture(0), lab.picture(1)
    engine = lab.engine(lab.method(name), strict=True)
    for request in (lab.ask(a), lab.ask("x", b, a), lab.ask("y", a, a, b), lab.ask(b)):
        response = engine.answer(request)
        assert response.status is Status.OK
        assert response.cache.fallbacks == ()


@pytest.mark.every_method(reuses=True)
def test_a_medium_larger_than_the_budget_is_answered_and_said(lab: Any, name: str) -> None:
    request = lab.ask("x ", lab.picture(0))
    relaxed = lab.engine(lab.method(name), budget=10_000)
    assert relaxed.answer(request).cache.fallbacks == ()
    second = relaxed.answer(request)
    assert second.status is Status.OK
    assert second.cache.fallbacks == ("picture-0.png is larger than the store's budget",)
    assert second.cache.media_hits == 0

    strict = lab.engine(lab.method(name), budget=10_000, strict=True)
    assert strict.answer(request).status is Status.OK, "the first time there was nothing to reuse"
    violated = strict.answer(request)
    assert violated.status is Status.REUSE_VIOLATED
    assert violated.error == "picture-0.png is larger than the store's budget"
    assert violated.text is None


def test_what_was_evicted_is_said(lab: Any) -> None:
    one = lab.ask("x ", lab.picture(0))
    other = lab.ask("y ", lab.picture(1))
    engine = lab.engine(lab.method("encoder-cache"), budget=bytes_of(lab, one))
    responses = [engine.answer(request) for request in (one, one, other, one)]
    assert [response.cache.encoder_hits for response in responses] == [0, 1, 0, 0]
    assert responses[-1].cache.fallbacks == ("picture-0.png was evicted from the store",)


def test_a_failed_request_was_not_there(lab: Any) -> None:
    a = lab.picture(0)
    engine = lab.engine(lab.method("vlcache"), strict=True)
    assert engine.answer(lab.ask(a, "<|image_pad|>")).status is Status.ERROR
    assert engine.answer(lab.ask(a)).status is Status.OK


def test_a_medium_evicted_while_a_prefix_still_covers_it_becomes_reusable_again(lab: Any) -> None:
    a = lab.picture(0)
    first, text, same_start, moved = lab.ask(a, "x"), lab.ask("text"), lab.ask(a, "y"), lab.ask("moved ", a, "z")
    engine = lab.engine(lab.method("full-reuse"), budget=bytes_of(lab, first, text, name="full-reuse") - 1)
    engine.answer(first)
    engine.answer(text)  # drops the medium, the oldest, and keeps the prefix
    covered = engine.answer(same_start).cache
    assert covered.fallbacks == ("picture-0.png was evicted from the store",)
    assert (covered.kv_hits, covered.encoder_hits, covered.computed_token_layers) == (1, 0, 0)
    assert lab.stored(engine, a).donor is None, "nothing of it was computed"
    again = engine.answer(lab.ask(a, "w")).cache
    assert (again.fallbacks, again.encoder_hits, again.computed_token_layers) == ((), 1, 0)

    computed = engine.answer(moved).cache
    assert computed.fallbacks == ("picture-0.png was evicted from the store",)
    assert computed.computed_token_layers == 20 * computed.layers
    assert lab.stored(engine, a).donor is not None
    reused = engine.answer(lab.ask("and moved once more ", a, "z")).cache
    assert (reused.fallbacks, reused.kv_hits, reused.computed_token_layers) == ((), 1, 0)
