"""The stream that all workloads of text pages share: cases of four pages, two of which stand in every request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workloads.base import CaseSize, StreamOptions, WorkloadDefaults
from workloads.pages.sentences import write
from workloads.pages.sheets import DENSITIES, Cells, Sheet
from workloads.records import Answer, Conversation, Media, Turn
from workloads.seeding import stream
from workloads.synthetic.cases import visit_cases
from workloads.synthetic.prose import SYSTEM, opening

Pair = tuple[int, int]
"""The pages of a request: the numbers of the first and of the last one in their case."""

NO_GOLD: Cells = ()
COLD = 2  # requests that bring the pages of a case


@dataclass(frozen=True)
class Case:
    """Pages that no other case has, and the pairs of them that are asked about.

    Attributes:
        sheets: the pages.
        cold: the pairs of the first requests, which bring every page once.
        warm: those of all later requests, in turn; each page has another partner than in ``cold``.
    """

    sheets: tuple[Sheet, ...]
    cold: tuple[Pair, ...]
    warm: tuple[Pair, ...]

    def pair(self, visit: int) -> Pair:
        """The pages of request number ``visit`` about this case, from 0."""
        if visit < len(self.cold):
            return self.cold[visit]
        return self.warm[(visit - len(self.cold)) % len(self.warm)]


@dataclass(frozen=True)
class Asked:
    """A question about two pages.

    Attributes:
        begins: the beginning of the answer.
        answer: the cells that come next; none where nobody knows.
    """

    begins: str
    answer: Cells


@dataclass(frozen=True)
class _Drawn:
    id: str
    case: Case
    media: tuple[Media, ...]


@dataclass(frozen=True)
class TextPages(ABC):
    """Two pages of text and a question, with the beginning of the answer.

    Attributes:
        question: the text after the pages.
        max_new_tokens: words of the answer.
    """

    name: str
    question: str
    max_new_tokens: int
    metric: str = "exact-match"

    @property
    def defaults(self) -> WorkloadDefaults:
        """See ``workloads.base.Workload``."""
        return WorkloadDefaults(
            self.max_new_tokens,
            reuse_rate=0.75,
            popularity="own",
            recurrence="pages come back beside others than before",
            case=CaseSize(COLD, COLD + 1),
        )

    @abstractmethod
    def deal(self, rng: np.random.Generator, density: float) -> Case:
        """A new case, its pages filled to about ``density``."""

    @abstractmethod
    def ask(self, rng: np.random.Generator, first: Sheet, last: Sheet) -> Asked:
        """A question about two pages of a case."""

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        rng = stream(options.split, self.name, options.seed)

        def make(index: int) -> _Drawn:
            case_rng = stream(options.split, self.name, options.seed, "case", index)
            case, case_id = self.deal(case_rng, DENSITIES[index % len(DENSITIES)]), f"case-{index}"
            media = tuple(sheet.medium(f"{case_id}/{page}") for page, sheet in enumerate(case.sheets))
            return _Drawn(case_id, case, media)

        visits = visit_cases(make, COLD, options, rng)
        for number, visit in zip(range(options.samples), visits, strict=False):
            drawn = visit.case
            pair = drawn.case.pair(visit.number)
            first, last = (drawn.case.sheets[page] for page in pair)
            asked = self.ask(rng, first, last)
            turn = Turn(
                id=f"{self.name}-{number}",
                content=(opening(rng), *(drawn.media[page] for page in pair), self.question),
                answer=Answer((write(asked.answer),) if asked.answer else (), self.metric),
                family=self.name,
                answer_begins=asked.begins,
            )
            yield Conversation(turn.id, f"{self.name}/{drawn.id}", SYSTEM, (turn,))


def shuffled(rng: np.random.Generator, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
    """The pairs in random order."""
    return tuple(pairs[index] for index in rng.permutation(len(pairs)))


def ask_at_mark(rng: np.random.Generator, page: Sheet, length: int) -> Asked:
    """Ask how a sentence of a page goes on from its mark, for so many cells."""
    chosen = int(rng.integers(len(page.sentences)))
    cells, mark = page.sentences[chosen].cells, page.marks[chosen]
    return Asked(write(cells[:mark]), cells[mark : mark + length])


def case_of_versions(rng: np.random.Generator, v: tuple[Sheet, Sheet], w: tuple[Sheet, Sheet]) -> Case:
    """A case of two pages in two versions each, which first stand beside the other page, later beside their own."""
    return Case((*v, *w), cold=((0, 3), (2, 1)), warm=shuffled(rng, ((0, 1), (1, 0), (2, 3), (3, 2))))
