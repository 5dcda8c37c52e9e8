"""A prompt that ends in the beginning of an answer has the tokens that transformers gives it, in every family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runners.base import Request
from runners.engine.adapters.registry import ADAPTERS
from runners.engine.errors import PromptError
from runners.methods.full_recompute import FullRecompute
from runners.methods.full_reuse import FullReuse
from workloads.records import Answer, Conversation, Message, Turn

BEGINS = "The old farmer found"
every_family = pytest.mark.parametrize("family", list(ADAPTERS))


def _begun(request: Request, text: str = BEGINS) -> Request:
    return replace(request, messages=(*request.messages, Message("assistant", (text,))))


def _ids(lab: Any, request: Request) -> list[list[int]]:
    return [list(text) for text in lab.adapter.render(request.messages).texts]


@every_family
def test_the_prompt_equals_that_of_transformers(lab_of: Callable[[str], Any], family: str) -> None:
    lab = lab_of(family)
    request = _begun(lab.ask("Note 12.", lab.picture(0), " Quote a sentence."))
    lab.assert_equal(lab.answer(FullRecompute(), request), lab.stock_logits(request))
    stock: list[int] = lab.stock_inputs(request)["input_ids"][0].tolist()
    first, last = _ids(lab, request)
    assert stock[: len(first)] == first
    assert stock[-len(last) :] == last


@every_family
def test_the_prompt_ends_with_the_beginning(lab_of: Callable[[str], Any], family: str) -> None:
    """No mark of the message's end and no header of another one follow it."""
    lab = lab_of(family)
    asked = lab.ask(lab.picture(0), " Quote a sentence.")
    (*_, last), (*_, without) = _ids(lab, _begun(asked)), _ids(lab, asked)
    assert lab.tokenizer.decode(last).endswith(BEGINS)
    header = lab.tokenizer.decode(without)
    assert lab.tokenizer.decode(last).removesuffix(BEGINS).rstrip() == header.rstrip()


@every_family
def test_reuse_does_not_touch_the_beginning(lab_of: Callable[[str], Any], family: str) -> None:
    lab = lab_of(family)
    a, b = lab.picture(0), lab.picture(1)
    first, second = (_begun(lab.ask(note, a, b, " Quote.")) for note in ("Note 1.", "Note 2 of more."))
    response = lab.answer(FullReuse(), first, second)
    assert (response.cache.kv_hits, response.cache.computed_token_layers) == (2, 0)


def test_an_answer_begins_as_the_turn_says(lab: Any) -> None:
    turn = Turn("t", ("See", lab.picture(0), " Quote."), Answer(("a",), "exact-match"), "quote", answer_begins=BEGINS)
    begun = Conversation("c", "c", "Be brief.", (turn,)).prompt(0)
    assert begun == _begun(lab.ask(*turn.content)).messages
    again = Conversation("c", "c", "", (turn, replace(turn, id="u", answer_begins=""))).prompt(1)
    assert [message.content for message in again if message.role == "assistant"] == [(f"{BEGINS} a",)]


def test_a_template_that_drops_the_beginning_is_told(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.adapter._tokenizer, "chat_template", "{{ messages[0]['content'][0]['text'] }}")
    with pytest.raises(PromptError, match="the prompt cannot be rendered"):
        lab.adapter.render(_begun(lab.ask("See")).messages)
