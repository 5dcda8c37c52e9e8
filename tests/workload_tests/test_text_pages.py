"""Text pages: answers follow from the pixels, pages recur beside others than before, cases share nothing."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from workloads.base import StreamOptions
from workloads.pages.cells import BLANK, CELL, CELLS, SIDE, draw_cell
from workloads.pages.sentences import CLAUSES, IDENTIFYING, TEMPLATES, VOCABULARY, draw_sentence, write
from workloads.pages.sheets import DENSITIES, SentenceSource, Sheet
from workloads.pages.versions import reordered
from workloads.records import Conversation, Media, Turn
from workloads.registry import TEXT_PAGES, load_workload
from workloads.seeding import stream

SAMPLES = 90
Cells = tuple[str, ...]

every_workload = pytest.mark.parametrize("workload", list(TEXT_PAGES))


@cache
def conversations(workload: str, samples: int = SAMPLES, seed: int = 3) -> tuple[Conversation, ...]:
    opened = load_workload(workload)
    options = StreamOptions(samples, seed, opened.defaults.reuse_rate, popularity=opened.defaults.popularity)
    return tuple(opened.conversations(options))


def turns(workload: str) -> Iterator[Turn]:
    yield from (turn for conversation in conversations(workload) for turn in conversation.turns)


def cases(workload: str) -> dict[str, list[Turn]]:
    """The requests of each case, in order."""
    found: dict[str, list[Turn]] = defaultdict(list)
    for conversation in conversations(workload):
        found[conversation.cluster_id] += conversation.turns
    return found


@cache
def looks() -> dict[bytes, str]:
    """The text of every cell by its pixels."""
    return {draw_cell(text).tobytes(): text for text in (*VOCABULARY, BLANK)}


@cache
def read(data: bytes) -> Cells:
    """The cells of a page, from its file."""
    with Image.open(io.BytesIO(data)) as file:
        pixels = np.asarray(file)
    assert pixels.shape == (SIDE * CELL, SIDE * CELL)
    tiles = pixels.reshape(SIDE, CELL, SIDE, CELL).transpose(0, 2, 1, 3).reshape(CELLS, CELL, CELL)
    return tuple(looks()[tile.tobytes()] for tile in tiles)


def sentences(medium: Media) -> list[str]:
    """The sentences of a page, the last or first of which may be cut in two, as running text."""
    found: list[list[str]] = [[]]
    for cell in read(medium.data):
        if cell != BLANK:
            found[-1].append(cell)
        if cell == ".":
            found.append([])
    return [write(cells) for cells in found if cells]


def continuations(begins: str, texts: list[str]) -> list[str]:
    """What follows a beginning in each of the texts that have it."""
    return [text.removeprefix(begins).strip() for text in texts if text.startswith(f"{begins} ")]


def first(words: int, text: str) -> str:
    """The first words of a text."""
    return " ".join(text.replace(".", " .").replace(",", " ,").split()[:words])


def expected(turn: Turn) -> str:
    """The answer as a reader of the pictures finds it."""
    one, last = (sentences(medium) for medium in turn.media)
    words = len(turn.answer.gold.split())
    if turn.family == "quote":
        (rest,) = continuations(turn.answer_begins, one + last)
    elif turn.family in ("versions", "order"):
        (rest,) = continuations(turn.answer_begins, last)
    else:
        assert one[-1] == turn.answer_begins
        rest = last[0]
    return first(words, rest)


@pytest.mark.parametrize("workload", [name for name in TEXT_PAGES if name != "prose"])
def test_every_answer_can_be_read_from_the_pixels(workload: str) -> None:
    for turn in turns(workload):
        assert turn.answer.gold == expected(turn)


@every_workload
def test_every_word_of_an_answer_is_one_cell(workload: str) -> None:
    """Then a tokenizer with a token for every cell gives the answer as many tokens as may be generated."""
    longest = load_workload(workload).defaults.max_new_tokens
    for turn in turns(workload):
        for gold in turn.answer.accepted:
            assert len(gold.split()) == longest
            assert set(gold.split()) <= set(VOCABULARY)
        assert turn.answer_begins == turn.answer_begins.strip() != ""


@every_workload
def test_the_first_two_requests_of_a_case_bring_its_pages_and_later_ones_none(workload: str) -> None:
    for requests in cases(workload).values():
        cold = [medium.data for turn in requests[:2] for medium in turn.media]
        assert len(set(cold)) == len(cold)
        assert {medium.data for turn in requests[2:] for medium in turn.media} <= set(cold)


@every_workload
def test_later_requests_show_no_page_beside_its_first_partner(workload: str) -> None:
    warm = 0
    for requests in cases(workload).values():
        first_partners = {frozenset(medium.data for medium in turn.media) for turn in requests[:2]}
        for turn in requests[2:]:
            assert frozenset(medium.data for medium in turn.media) not in first_partners
            warm += 1
    assert warm > SAMPLES / 4


@every_workload
def test_cases_share_no_page_and_beginnings_tell_sentences_of_a_case_apart(workload: str) -> None:
    pages: dict[bytes, str] = {}
    for case, requests in cases(workload).items():
        media = {medium.data: medium for turn in requests for medium in turn.media}
        assert all(pages.setdefault(data, case) == case for data in media)
        if workload in ("quote", "prose"):
            begun = [tuple(text.split()[:IDENTIFYING]) for medium in media.values() for text in sentences(medium)]
            assert len(set(begun)) == len(begun)


@every_workload
def test_pages_are_as_dense_as_the_case_is_to_be(workload: str) -> None:
    seen = set()
    for turn in turns(workload):
        for medium in turn.media:
            share = sum(cell != BLANK for cell in read(medium.data)) / CELLS
            assert medium.content_share == share
            nearest = min(DENSITIES, key=lambda density: abs(density - share))
            assert abs(nearest - share) < 0.1
            seen.add(nearest)
    assert seen == set(DENSITIES)


@every_workload
def test_the_pictures_stand_between_a_note_and_the_question(workload: str) -> None:
    for turn in turns(workload):
        note, one, last, question = turn.content
        assert isinstance(note, str)
        assert note.startswith("Note ")
        assert isinstance(one, Media)
        assert isinstance(last, Media)
        assert isinstance(question, str)


def test_versions_differ_in_one_word_of_each_sentence_and_in_order() -> None:
    for requests in cases("versions").values():
        for turn in requests[2:]:
            one, other = (sentences(medium) for medium in turn.media)
            begun, again = ([tuple(text.split()[:IDENTIFYING]) for text in texts] for texts in (one, other))
            assert sorted(begun) == sorted(again)
            assert not set(pairwise(begun)) & set(pairwise(again))
            partner = dict(zip(begun, one, strict=True))
            for beginning, revised in zip(again, other, strict=True):
                words = zip(partner[beginning].split(), revised.split(), strict=True)
                assert sum(old != new for old, new in words) == 1
            (elsewhere,) = continuations(turn.answer_begins, one)
            assert first(1, elsewhere) != turn.answer.gold


def test_clauses_stand_in_another_order_on_the_other_page() -> None:
    for requests in cases("order").values():
        for turn in requests[2:]:
            one, last = (sentences(medium) for medium in turn.media)
            assert sorted(" ".join(one).split()) == sorted(" ".join(last).split())
            assert not set(one) & set(last)
            (elsewhere,) = continuations(turn.answer_begins, one)
            assert first(1, elsewhere) != first(1, turn.answer.gold)


def test_another_next_page_goes_on_in_other_words() -> None:
    for requests in cases("page-break").values():
        golds: dict[bytes, set[str]] = defaultdict(set)
        for turn in requests:
            golds[turn.media[1].data].add(turn.answer.gold)
            assert read(turn.media[0].data)[-1] != BLANK
            assert read(turn.media[1].data)[0] != BLANK
        assert all(len(found) == 1 for found in golds.values())
        assert len(set.union(*golds.values())) == len(golds)


def test_every_template_can_begin_in_many_ways() -> None:
    """Else no second sentence of a case could be drawn from it."""
    rng = stream("bench", "beginnings")
    for template in (*TEMPLATES, *CLAUSES):
        assert any(part.startswith("{") for part in template[:IDENTIFYING])
        drawn = {draw_sentence(rng, template).cells[:IDENTIFYING] for _ in range(30)}
        assert len(drawn) > 3


def test_a_page_is_filled_with_sentences_that_begin_apart() -> None:
    for density in DENSITIES:
        source = SentenceSource(stream("bench", "fill"))
        pages = [source.fill(density) for _ in range(4)]
        assert all(len({sentence.cells[:3] for sentence in page}) == len(page) for page in pages)
        begun = [sentence.cells[:IDENTIFYING] for page in pages for sentence in page]
        assert len(set(begun)) == len(begun)


def test_a_sheet_is_laid_out_around_what_runs_over() -> None:
    source = SentenceSource(stream("bench", "sheet"))
    sheet = Sheet(source.fill(0.5, 5), 0.5, head=("a", "b", "."), tail=("The", "old"))
    cells = sheet.page().cells
    assert cells[:6] == ("a", "b", ".", BLANK, BLANK, BLANK)
    assert cells[-2:] == ("The", "old")
    with pytest.raises(ValueError, match="a page has 225 cells, not"):
        Sheet((*sheet.sentences, *sheet.sentences), 0.5).page()


@pytest.mark.parametrize("count", [2, 3, 8, 16])
def test_in_another_order_nothing_has_the_same_successor(count: int) -> None:
    order = reordered(stream("bench", "order", count), count)
    assert sorted(order) == list(range(count))
    assert all(after != before + 1 for before, after in pairwise(order))
