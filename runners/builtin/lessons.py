"""Training sequences: pages or a clip, followed by many questions about them, as one conversation.

A lesson is made by the generators of the workloads, from the ``train`` split only. Next to the text it carries
what a vision token should know (its glyph, its left neighbour, ...): auxiliary targets without which small models
do not learn to read (one label per sequence teaches almost nothing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workloads.synthetic import binding, multi_hop, video
from workloads.synthetic.album import deal_pages
from workloads.synthetic.cards import DIGITS, KEYS, MARKS, ask_count, ask_larger, ask_value
from workloads.synthetic.drawing import Grid, Page
from workloads.synthetic.prose import Question

CLOCKS = tuple(f"!{moment + 1}" for moment in range(video.MOMENTS))
GLYPHS = {glyph: 1 + index for index, glyph in enumerate((*KEYS, *DIGITS, *MARKS, *CLOCKS))}  # 0 is blank
UNLABELLED = -100  # what torch's cross entropy ignores

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Picture:
    """One medium of a lesson and the targets of its vision tokens, each ``(tokens,)`` in row-major order.

    Attributes:
        moments: one page for an image, several for a clip.
        glyph: class of the token's own glyph.
        left: class of the glyph to its left.
        clock: moment (from 0) in which the token's object stands there, on the object and on its place.
        rank: how many equal marks of the page come before this one, in reading order.
        before: the digit the token's key had earlier, or that the key it shows leads to, where there is one.
        changed: 1 where that digit was another one.
    """

    moments: tuple[Page, ...]
    glyph: Labels
    left: Labels
    clock: Labels
    rank: Labels
    before: Labels
    changed: Labels


@dataclass(frozen=True)
class Lesson:
    """What is shown, and what is asked about it."""

    pictures: tuple[Picture, ...]
    questions: tuple[Question, ...]
    is_clip: bool = False


@dataclass(frozen=True)
class Syllabus:
    """The size of the lessons of one stage.

    Attributes:
        rows, cols: inclusive ranges of the page size in cells.
        cells_per_card: 14 is the density of the benchmark; smaller is denser and easier.
        pages: inclusive range of pages in a look-up lesson.
        questions: questions per lesson.
        mixture: weight of each kind of lesson.
    """

    rows: tuple[int, int]
    cols: tuple[int, int]
    cells_per_card: int
    pages: tuple[int, int]
    questions: int
    mixture: dict[str, float] = field(default_factory=dict)


def draw_lesson(rng: np.random.Generator, syllabus: Syllabus) -> Lesson:
    """One lesson of a kind drawn from the mixture."""
    kinds = list(syllabus.mixture)
    weights = np.array([syllabus.mixture[kind] for kind in kinds])
    kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
    return KINDS[kind](rng, syllabus)


def _album_lesson(rng: np.random.Generator, syllabus: Syllabus) -> Lesson:
    grid = _grid(rng, syllabus)
    marked = bool(rng.random() < 0.6)
    pages = int(rng.integers(syllabus.pages[0], syllabus.pages[1] + 1))
    cards = deal_pages(rng, grid, pages, per_page=_cards(grid, syllabus), marked=pages * marked, tinted=marked)
    questions = [(ask_value, ask_larger)[rng.integers(2)](rng, cards) for _ in range(syllabus.questions)]
    questions += [ask_count(rng, [page]) for page in cards if marked]
    order = rng.permutation(len(questions))
    pictures = [label((page.page,)) for page in cards]
    return Lesson(tuple(pictures), tuple(_distinct([questions[i] for i in order])))


def _chat_lesson(rng: np.random.Generator, syllabus: Syllabus) -> Lesson:
    """An album as ``image-chat`` shows it: one marked picture, and what is asked about it."""
    grid = _grid(rng, syllabus)
    pages = int(rng.integers(syllabus.pages[0], syllabus.pages[1] + 1))
    cards = deal_pages(rng, grid, pages, per_page=_cards(grid, syllabus), marked=1, tinted=True)
    questions = [(ask_value, ask_larger)[rng.integers(2)](rng, cards) for _ in range(syllabus.questions)]
    questions.insert(int(rng.integers(len(questions) + 1)), ask_count(rng, cards[:1]))
    order = rng.permutation(pages)
    pictures = [label((cards[page].page,)) for page in order]
    return Lesson(tuple(pictures), tuple(_distinct(questions)))


def _binding_lesson(rng: np.random.Generator, syllabus: Syllabus) -> Lesson:
    grid = _grid(rng, syllabus)
    square = binding.deal_square(rng, grid, _cards(grid, syllabus))
    first = square.versions[rng.integers(binding.VERSIONS)]
    twice = rng.random() < binding.SAME_TWICE_RATE
    second = first if twice else square.versions[binding.neighbour(rng, square.versions.index(first))]
    distractors = list(square.distractors[: rng.integers(binding.DISTRACTORS + 1)])
    questions = [binding.ask_difference(rng, first.values, second.values) for _ in range(syllabus.questions)]
    if distractors:
        questions += [ask_value(rng, distractors) for _ in range(2)]
    pictures = [label((page.page,)) for page in (*distractors, first)]
    pictures.append(label((second.page,), earlier=[first.values]))
    order = rng.permutation(len(questions))
    return Lesson(tuple(pictures), tuple(_distinct([questions[i] for i in order])))


def _video_lesson(rng: np.random.Generator, syllabus: Syllabus) -> Lesson:
    scene = video.film(rng, _grid(rng, syllabus))
    standing = [_objects(page) for page in scene.moments]
    earlier = [{}, *standing[:-1]]
    picture = label(scene.moments, earlier=earlier)
    questions = [video.ask_about(rng, scene) for _ in range(syllabus.questions)]
    return Lesson((picture,), tuple(_distinct(questions)), is_clip=True)


def _hop_lesson(rng: np.random.Generator, syllabus: Syllabus) -> Lesson:
    grid = _grid(rng, syllabus)
    ledger = multi_hop.deal_ledger(rng, grid, _cards(grid, syllabus))
    known, links = ledger.lists[0], ledger.links[0]
    distractors = list(ledger.others[: rng.integers(2)])
    questions = [multi_hop.ask_hop(rng, known.values, links.values) for _ in range(syllabus.questions)]
    questions += [ask_value(rng, (*distractors, known)) for _ in range(2)]
    pictures = [label((page.page,)) for page in (*distractors, known)]
    pictures.append(label((links.page,), earlier=[known.values]))
    order = rng.permutation(len(questions))
    return Lesson(tuple(pictures), tuple(_distinct([questions[i] for i in order])))


KINDS: dict[str, Callable[[np.random.Generator, Syllabus], Lesson]] = {
    "album": _album_lesson,
    "chat": _chat_lesson,
    "binding": _binding_lesson,
    "video": _video_lesson,
    "hop": _hop_lesson,
}


def label(moments: Sequence[Page], earlier: Sequence[Mapping[str, str]] | None = None) -> Picture:
    """Work out the targets of every token; ``earlier[t]`` are the digits that keys stood for before moment t."""
    size = moments[0].grid.cells * len(moments)
    glyph, left = np.zeros(size, np.int64), np.zeros(size, np.int64)
    clock, rank, before, changed = (np.full(size, UNLABELLED) for _ in range(4))
    for moment, page in enumerate(moments):
        known = earlier[moment] if earlier else {}
        marks = 0
        for (row, col), name in sorted(page.glyphs.items()):
            token = (moment * page.grid.rows + row) * page.grid.cols + col
            neighbour = page.glyphs.get((row, col - 1), "")
            glyph[token], left[token] = GLYPHS[name], GLYPHS.get(neighbour, 0)
            if name in MARKS:
                rank[token] = marks
                marks += 1
            if len(moments) > 1 and (name in KEYS or neighbour in KEYS):
                clock[token] = moment
            if name in DIGITS and neighbour in known:
                before[token] = int(known[neighbour])
                changed[token] = int(known[neighbour] != name)
            if name in known and neighbour in KEYS:
                before[token] = int(known[name])
    return Picture(tuple(moments), glyph=glyph, left=left, clock=clock, rank=rank, before=before, changed=changed)


def _objects(page: Page) -> dict[str, str]:
    """Where each object of a frame stands: key to the digit beside it."""
    return {name: page.glyphs[row, col + 1] for (row, col), name in page.glyphs.items() if name in KEYS}


def _grid(rng: np.random.Generator, syllabus: Syllabus) -> Grid:
    rows = int(rng.integers(syllabus.rows[0], syllabus.rows[1] + 1))
    return Grid(rows, int(rng.integers(syllabus.cols[0], syllabus.cols[1] + 1)))


def _cards(grid: Grid, syllabus: Syllabus) -> int:
    most = len(KEYS) // max(syllabus.pages[1], 1 + binding.DISTRACTORS)
    return min(most, max(2, round(grid.cells / syllabus.cells_per_card)))


def _distinct(questions: Sequence[Question]) -> list[Question]:
    """Without repeats, which could be answered by copying."""
    return list({question.text: question for question in questions}.values())
