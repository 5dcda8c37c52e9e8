"""The laws that trained weights put to the test, on the reader: thirty layers that nobody here trained."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runners.base import Request, Response
from runners.divergence import kl_divergence
from runners.methods.full_recompute import FullRecompute
from runners.methods.full_reuse import FullReuse
from runners.methods.prefix_cache import PrefixCache
from workloads.pages.cells import BLANK, CELLS, TextPage
from workloads.pages.sentences import TEMPLATES, draw_sentence
from workloads.records import Media, Message

SENTENCES = 10
QUOTED = 9  # words of a sentence that the answer begins with
NOTE, LONG = "Note 1.", "It is of no importance. " * 8
TOLERANCE = 1e-3  # of float32 logits of order 20


def page_of(seed: int) -> tuple[TextPage, list[tuple[str, ...]]]:
    """A page, and its sentences."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(TEMPLATES), SENTENCES, replace=False)
    sentences = [draw_sentence(rng, TEMPLATES[number]).cells for number in chosen]
    cells = [cell for sentence in sentences for cell in sentence]
    return TextPage((*cells, *[BLANK] * (CELLS - len(cells)))), sentences


def picture(page: TextPage, name: str) -> Media:
    buffer = io.BytesIO()
    Image.fromarray(page.pixels()).save(buffer, format="PNG")
    return Media("image", buffer.getvalue(), name)


PAGE, PRINTED = page_of(1)
MEDIUM = picture(PAGE, "page.png")


def quote(lab: Any, note: str, tokens: int = 4) -> Request:
    """Ask for a sentence of the page; the answer begins with the first words of the third."""
    asked: Request = lab.ask(note, MEDIUM, " Quote a sentence from the page.", max_new_tokens=tokens)
    begins = Message("assistant", (" ".join(PRINTED[2][:QUOTED]),))
    return replace(asked, messages=(*asked.messages[1:], begins))


@pytest.fixture(scope="module")
def exact(reader_lab: Any) -> Response:
    """Everything computed."""
    response: Response = reader_lab.answer(FullRecompute(), quote(reader_lab, NOTE))
    return response


def test_it_reads_what_is_printed_and_computes_what_the_stock_model_computes(reader_lab: Any, exact: Response) -> None:
    request = quote(reader_lab, NOTE)
    reader_lab.assert_equal(exact, reader_lab.stock_logits(request), TOLERANCE)
    assert exact.text is not None
    assert exact.text.split() == list(PRINTED[2][QUOTED : QUOTED + 4])
    assert list(exact.token_ids) == reader_lab.stock_tokens(request)


@pytest.mark.parametrize("method", [FullReuse(), PrefixCache()])
def test_reuse_in_an_equal_context_is_exact(reader_lab: Any, exact: Response, method: Any) -> None:
    request = quote(reader_lab, NOTE)
    response = reader_lab.answer(method, request, request)
    reader_lab.assert_equal(response, exact, TOLERANCE)
    assert response.cache.computed_token_layers == 0


def test_keys_that_are_not_rotated_are_visibly_wrong(reader_lab: Any) -> None:
    question = (MEDIUM, " What is this text about?")
    first, moved = (
        reader_lab.ask(note, *question, max_new_tokens=1) for note in (NOTE, "It is of no importance. " * 8)
    )
    full = reader_lab.answer(FullRecompute(), moved).first_logits
    rotated, left = (reader_lab.answer(FullReuse(rotate=rotate), first, moved).first_logits for rotate in (True, False))
    assert kl_divergence(full, left) >= 10 * kl_divergence(full, rotated)


@pytest.mark.parametrize("name", ["cacheblend", "conduit", "vlcache"])
def test_at_ratio_one_methods_answer_as_full(reader_lab: Any, exact: Response, name: str) -> None:
    first, second = (quote(reader_lab, note, tokens=1) for note in ("Another one, longer than it.", NOTE))
    response = reader_lab.answer(reader_lab.method(name, recompute_ratio=1.0), first, second)
    assert response.cache.media_hits == 1
    reader_lab.assert_equal(response, exact, TOLERANCE)
