"""Questions about clips in which one object moves and others appear for a moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from workloads.base import ONE_COLD, StreamOptions, WorkloadDefaults
from workloads.records import Answer, Conversation, Media, Turn
from workloads.seeding import stream
from workloads.synthetic.cards import DIGITS, KEYS
from workloads.synthetic.cases import Visit, visit_cases
from workloads.synthetic.drawing import Grid, Page, Place, encode_clip
from workloads.synthetic.prose import SYSTEM, Question, ask, notes, opening

DEFAULT_FRAME = Grid(12, 12)
MOMENTS = 4
CELLS_PER_PLACE = 14
MOST_FLASHES = 3
MOST_NOTES = 5  # a clip comes back after more or less text
KINDS = ("moved", "moved-to", "when")
CLOCK: Place = (0, 0)


@dataclass(frozen=True)
class Scene:
    """A clip: places are digits, an object is the letter beside its place, a clock counts the moments.

    ``mover`` leaves its place for ``moved_to`` and stays there; ``seen`` maps each object that is
    there for one moment only to that moment.
    """

    moments: tuple[Page, ...]
    mover: str
    moved_to: str
    seen: dict[str, int]

    @property
    def content_share(self) -> float:
        """Share of the cells, over all moments, that hold a glyph."""
        return sum(page.content_share for page in self.moments) / len(self.moments)


@dataclass(frozen=True)
class Video:
    """One question about one clip.

    Where every clip has its own requests, it comes back after more or less text than first, with another question.
    """

    name: str = "video"
    metric: str = "exact-match"
    defaults: WorkloadDefaults = ONE_COLD
    grid: Grid = DEFAULT_FRAME

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        rng = stream(options.split, self.name, options.seed)

        def make(index: int) -> tuple[Scene, Media]:
            scene = film(stream(options.split, self.name, options.seed, "clip", index), self.grid)
            return scene, Media("video", encode_clip(scene.moments), f"clip-{index}.png", scene.content_share)

        visits = visit_cases(make, 1, options, rng)
        for number, visit in zip(range(options.samples), visits, strict=False):
            scene, clip = visit.case
            if options.popularity == "own":
                question = ask_about(rng, scene, _kinds_of_own(visit))
                before = notes(rng, _notes_of_own(rng, visit))
            else:
                question = ask_about(rng, scene)
                before = opening(rng, MOST_NOTES)
            turn = Turn(
                id=f"{self.name}-{number}",
                content=(before, clip, question.text),
                answer=Answer((question.answer,), self.metric),
                family=question.family,
            )
            yield Conversation(turn.id, f"{self.name}/{clip.name}", SYSTEM, (turn,))


def places_on(grid: Grid) -> int:
    """How many places a frame of this size has; at most one for every digit."""
    return min(len(DIGITS), max(6, round(grid.cells / CELLS_PER_PLACE)))


def film(rng: np.random.Generator, grid: Grid, moments: int = MOMENTS) -> Scene:
    """Make a clip: of the places, half are taken, one object moves, and up to three flash up elsewhere."""
    places = _lay_places(rng, grid)
    count = len(places)
    names = [DIGITS[i] for i in rng.permutation(len(DIGITS))[:count]]
    keys = [KEYS[i] for i in rng.permutation(len(KEYS))]
    residents = count // 2
    free = list(range(residents, count))
    target = free.pop()
    mover, leaves_at = keys[0], int(rng.integers(1, moments))
    flashes = {key: int(rng.integers(moments)) for key in keys[residents : residents + min(MOST_FLASHES, len(free))]}
    pages: list[Page] = []
    for moment in range(moments):
        glyphs: dict[Place, str] = {CLOCK: f"!{moment + 1}"}
        for (row, col), name in zip(places, names, strict=True):
            glyphs[row, col + 1] = name
        standing = {key: slot for slot, key in enumerate(keys[:residents])}
        if moment >= leaves_at:
            standing[mover] = target
        standing |= {key: slot for slot, (key, at) in zip(free, flashes.items(), strict=False) if at == moment}
        for key, slot in standing.items():
            glyphs[places[slot]] = key
        pages.append(Page(grid, glyphs))
    return Scene(tuple(pages), mover, names[target], {key: at + 1 for key, at in flashes.items()})


def ask_about(rng: np.random.Generator, scene: Scene, kinds: Sequence[str] = KINDS) -> Question:
    """What moved, where to, or when one of the brief objects was there."""
    kind = kinds[int(rng.integers(len(kinds)))]
    if kind == "moved":
        return ask(kind, scene.mover)
    if kind == "moved-to":
        return ask(kind, scene.moved_to)
    keys = list(scene.seen)
    key = keys[rng.integers(len(keys))]
    return ask(kind, str(scene.seen[key]), key)


def _kinds_of_own(visit: Visit[tuple[Scene, Media]]) -> Sequence[str]:
    """The kind of question that a clip's first request asks; later ones ask one of the others."""
    first = KINDS[visit.index % len(KINDS)]
    return (first,) if visit.number == 0 else [kind for kind in KINDS if kind != first]


def _notes_of_own(rng: np.random.Generator, visit: Visit[tuple[Scene, Media]]) -> int:
    """How many notes, 1 to ``MOST_NOTES``, stand before a clip: in later requests not as many as in the first one."""
    shift = int(rng.integers(1, MOST_NOTES)) if visit.number else 0
    return 1 + (visit.index + shift) % MOST_NOTES


def _lay_places(rng: np.random.Generator, grid: Grid) -> list[Place]:
    """Two-cell slots clear of the clock; the object's cell is the left one."""
    slots = [(row, col) for row in range(1, grid.rows) for col in range(row % 2, grid.cols - 1, 2)]
    return [slots[i] for i in rng.permutation(len(slots))[: places_on(grid)]]
