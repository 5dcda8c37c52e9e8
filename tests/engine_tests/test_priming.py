"""Media may be stored without an answer, by a method that computes their keys and values by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from runners.base import Request, primer
from runners.defaults import RunnerDefaults
from runners.engine.errors import PromptError, PromptTooLong
from runners.engine.first_token import Prefiller
from runners.local import LocalRunner, build_runners
from runners.records import Record, Status, Warmth
from runners.registry import parse_specs
from runners.session import SessionOptions, serve
from workloads.records import Answer, Conversation, Media, Message, Turn

OPTIONS = SessionOptions("full", seed=0, max_new_tokens=2, warmup=0)
PRIMED = ["full-reuse@donor=template", "conduit@donor=isolated", "vlcache"]
ASKED = ["encoder-cache", "prefix-cache", "full-reuse@donor=previous", "vlcache@donor=previous"]
BROKEN = Media("image", b"", "broken.png")


def build(lab: Any, *specs: str) -> list[LocalRunner]:
    return build_runners(parse_specs(specs, RunnerDefaults(recompute_ratio=0.2)), lab.model, "full", False)


def stream(*contents: Sequence[str | Media]) -> list[Conversation]:
    answer = Answer(("yes",), "exact-match")
    return [
        Conversation(f"{place}", f"{place}", "Be brief.", (Turn(f"{place}", tuple(content), answer, "family"),))
        for place, content in enumerate(contents)
    ]


def run(conversations: Sequence[Conversation], runners: Sequence[LocalRunner], spares: bool) -> list[Record]:
    return list(serve("work", conversations, runners, replace(OPTIONS, spares=spares), {}))


@pytest.mark.parametrize("spec", PRIMED)
def test_requests_that_show_primed_media_are_answered_as_behind_answers(lab: Any, spec: str) -> None:
    a, b, c = (lab.picture(place) for place in range(3))
    talks = stream(("look: ", a, b, c), (b, "and", a, "?"))
    whole, spared = (run(talks, build(lab, "full", spec), spares) for spares in (False, True))
    assert [(record.runner, record.warmth) for record in spared] == [
        (record.runner, record.warmth) for record in whole if record.warmth is Warmth.WARM
    ]
    for left, right in zip(spared, [record for record in whole if record.warmth is Warmth.WARM], strict=True):
        assert left.answer == right.answer
        assert left.kl == pytest.approx(right.kl, abs=1e-6)
        assert left.cache is not None
        assert right.cache is not None
        assert (left.cache.media_hits, left.cache.kv_hits) == (right.cache.media_hits, right.cache.kv_hits)
        assert left.cache.fallbacks == ()


def test_only_media_that_come_back_are_stored(lab: Any) -> None:
    a, b = lab.picture(0), lab.picture(1)
    more, fewer = build(lab, "vlcache"), build(lab, "vlcache")
    more[0].prime([a, b], [a, b])
    run(stream(("look: ", a, b), (a, "?")), [*build(lab, "full"), *fewer], spares=True)
    asked = Request("again", (Message("user", (a, "?")),), 1)
    stored = [runner.answer(asked).cache for (runner,) in (more, fewer)]
    assert stored[0] is not None
    assert stored[1] is not None
    assert stored[1].stored_bytes < stored[0].stored_bytes


@pytest.mark.parametrize("spec", ASKED)
def test_cold_requests_are_answered_by_who_needs_them_for_the_store(lab: Any, spec: str) -> None:
    (runner,) = build(lab, spec)
    assert primer(runner) is None
    records = run(stream(("look: ", lab.picture(0)), (lab.picture(0), "?")), [*build(lab, "full"), runner], True)
    assert [record.request for record in records if record.runner == runner.label] == ["0", "1"]
    assert [record.request for record in records if record.runner == "full"] == ["1"]


def test_media_that_cannot_be_read_are_told_by_the_request_that_shows_them_again(lab: Any) -> None:
    talks = stream((BROKEN, "?"), ("again: ", BROKEN))
    records = run(talks, build(lab, "full", "vlcache"), spares=True)
    assert {(record.request, record.status) for record in records} == {("1", Status.BAD_MEDIA)}


@pytest.mark.parametrize("error", [PromptTooLong("too long"), MemoryError(), PromptError("no")])
def test_what_goes_wrong_while_priming_is_left_to_requests(
    lab: Any, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> None:
        raise error

    (runner,) = build(lab, "vlcache")
    monkeypatch.setattr(Prefiller, "plan", fail)
    runner.prime([lab.picture(0)], [lab.picture(0)])
    monkeypatch.undo()
    asked = Request("then", (Message("user", (lab.picture(0), "?")),), 1)
    assert runner.answer(asked).status is Status.OK


def test_an_error_of_our_own_while_priming_is_not_hidden(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise RuntimeError("a mistake")

    (runner,) = build(lab, "vlcache")
    monkeypatch.setattr(Prefiller, "plan", fail)
    with pytest.raises(RuntimeError, match="a mistake"):
        runner.prime([lab.picture(0)], [lab.picture(0)])
