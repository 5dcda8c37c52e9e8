"""Every request ends in a response with a status, and what goes wrong with one leaves the next untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from runners.base import Request, Response
from runners.records import Status
from workloads.records import Media, Message

BAD = Media("image", b"no picture", "holiday.png")


def assert_no_numbers(response: Response) -> None:
    assert response.text is None
    assert response.token_ids == ()
    assert response.first_logits is None
    assert response.timing is None
    assert response.cache is None
    assert response.error is not None
    assert "\n" not in response.error


def answered_alike(first: Response, second: Response) -> bool:
    return (first.status, first.token_ids, first.cache) == (second.status, second.token_ids, second.cache)


@pytest.mark.every_method
def test_a_broken_medium_fails_its_request_alone(lab: Any, name: str) -> None:
    a, b = lab.picture(0), lab.picture(1)
    engine, untouched = lab.engine(lab.method(name)), lab.engine(lab.method(name))
    first, second = lab.ask("x ", a), lab.ask("moved ", b, a)
    assert answered_alike(engine.answer(first), untouched.answer(first))
    failed = engine.answer(lab.ask(b, BAD))
    assert failed.status is Status.BAD_MEDIA
    assert failed.error == "holiday.png: not a readable image (unknown format)"
    assert_no_numbers(failed)
    assert answered_alike(engine.answer(second), untouched.answer(second))


def test_a_prompt_beyond_the_context_is_refused_with_its_numbers(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = lab.engine(lab.method("vlcache"))
    request = lab.ask("count ", lab.picture(0), max_new_tokens=7)
    length = engine.answer(request).cache.prompt_tokens
    monkeypatch.setattr(lab.adapter, "shape", replace(lab.adapter.shape, context=length + 6))
    refused = engine.answer(request)
    assert refused.status is Status.PROMPT_TOO_LONG
    assert refused.error == (
        f"the prompt's {length} tokens and 7 new ones do not fit the model's context of {length + 6}"
    )
    assert_no_numbers(refused)
    monkeypatch.setattr(lab.adapter, "shape", replace(lab.adapter.shape, context=length + 7))
    assert engine.answer(request).status is Status.OK


@pytest.mark.parametrize("forged", ["<|image_pad|>", "<|video_pad|>", "see <|image_pad|> here"])
@pytest.mark.parametrize("with_media", [False, True])
def test_a_forged_placeholder_is_an_error(lab: Any, forged: str, with_media: bool) -> None:
    content = (forged, lab.picture(0)) if with_media else (forged,)
    response = lab.engine(lab.method("full")).answer(lab.ask(*content))
    assert response.status is Status.ERROR
    assert_no_numbers(response)
    assert response.error == "a text of the prompt contains the token that stands for an image or a video; remove it"


@pytest.mark.parametrize("messages", [(), (Message("user", ("half an emoji \ud83d",)),)])
def test_a_prompt_that_cannot_be_rendered_is_an_error(lab: Any, messages: tuple[Message, ...]) -> None:
    engine = lab.engine(lab.method("full"))
    response = engine.answer(Request("request", messages, 4))
    assert response.status is Status.ERROR
    assert response.error.startswith("the prompt cannot be rendered (")
    assert_no_numbers(response)


@pytest.mark.parametrize("text", ["", "<|im_end|>", "\x00", "漢字 🙂"])
def test_odd_texts_are_answered(lab: Any, text: str) -> None:
    assert lab.engine(lab.method("full")).answer(lab.ask(text)).status is Status.OK


def on_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nlong advice")


def on_a_cpu() -> None:
    torch.empty(1 << 56)


def in_python() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("exhaust", "line"),
    [
        (on_a_gpu, "CUDA out of memory. Tried to allocate 2 GiB."),
        (on_a_cpu, "DefaultCPUAllocator: can't allocate memory"),
        (in_python, "out of memory"),
    ],
)
def test_running_out_of_memory_is_a_status(
    lab: Any, exhaust: Callable[[], None], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = lab.engine(lab.method("vlcache"))
    with monkeypatch.context() as patch:
        patch.setattr(lab.adapter, "encode", lambda pixels: exhaust())
        response = engine.answer(lab.ask(lab.picture(0)))
    assert response.status is Status.OUT_OF_MEMORY
    assert line in response.error
    assert_no_numbers(response)
    assert engine.answer(lab.ask(lab.picture(0))).cache.fallbacks == ()


def test_an_error_of_our_own_is_not_passed_off_as_a_failed_request(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(pixels: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(lab.adapter, "encode", fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        lab.engine(lab.method("full")).answer(lab.ask(lab.picture(0)))


@pytest.mark.every_method
def test_numbers_that_are_not_finite_are_an_error_and_never_stored(
    lab: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, request = lab.engine(lab.method(name)), lab.ask("look ", lab.picture(0))
    weight = lab.adapter._text.layers[1].self_attn.v_proj.weight
    with monkeypatch.context() as patch:
        patch.setattr(weight, "data", torch.full_like(weight, torch.nan))
        response = engine.answer(request)
    assert response.status is Status.ERROR
    assert response.error == "the model's logits are not finite in torch.float32: try another --dtype"
    assert_no_numbers(response)
    assert answered_alike(engine.answer(request), lab.engine(lab.method(name)).answer(request))


@pytest.mark.every_method
def test_reset_forgets_everything(lab: Any, name: str) -> None:
    a, b = lab.picture(0), lab.picture(1)
    engine = lab.engine(lab.method(name), budget=300_000)  # small: evictions are forgotten, too
    requests = [lab.ask("x ", a), lab.ask(b, a), lab.ask("y ", a)]
    first = [engine.answer(request) for request in requests]
    engine.reset()
    assert engine._stores.tiers.nbytes("device") == 0
    second = [engine.answer(request) for request in requests]
    assert all(map(answered_alike, first, second))
