"""Turn the cases of a data set or of a request file, in which media seldom recur, into a stream in which they do.

Cases come in blocks of ``BLOCK``: first each once, then about the same media again, in shuffled order. A request about
media that were shown before begins with an opening that no other has: it is a new request, no exact prefix serves its
media, and its gold answer is as true as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TypeVar

import numpy as np
from blake3 import blake3

from workloads.base import StreamOptions, WorkloadDefaults
from workloads.records import Conversation, Media, Recur, Turn
from workloads.seeding import stream
from workloads.synthetic.pool import zipf_rank
from workloads.synthetic.prose import opening

T = TypeVar("T")

MEANING: Mapping[Recur, str] = {
    "none": "every question once; media come back only where the data repeat them",
    "prefix": "what was shown is asked again under another opening",
    "questions": "other questions about what was shown follow under other openings, then the same ones again",
    "shuffle": "what was shown is asked again under another opening and after pictures of other cases",
}
BLOCK = 4  # cases, or groups of them, between the first request about some media and the next
ALMOST_1 = 1 - 1e-9  # of a request, as sums of fractions go
MOST_OTHERS = 2  # pictures of other cases before one that is asked again
AGAIN = "-again-"  # and a number, after the id of a case that is asked again
APART = "So much for other cases. What follows is a case of its own.\n"


def default_recurrence(max_new_tokens: int, recur: Recur, benchmark_score: str | None = None) -> WorkloadDefaults:
    """The defaults of a data set: about each medium two requests."""
    return WorkloadDefaults(
        max_new_tokens, 0.0 if recur == "none" else 0.5, "even", MEANING[recur], benchmark_score=benchmark_score
    )


@dataclass(frozen=True)
class Case:
    """One case of a data set: a question, or a talk of several turns.

    Attributes:
        id: unique in the data set.
        load: reads its turns, whose ids are unique in the data set.
        group: names what cases about the same media share; None where only the media tell.
        system: the system prompt.
        cluster: names what is dependent on the case, its repeats among them; None for what it shares with others.
    """

    id: str
    load: Callable[[], tuple[Turn, ...]]
    group: str | None = None
    system: str = ""
    cluster: str | None = None


def recurring(
    name: str, parts: Mapping[str, Callable[[], Iterator[Case]]], window: int, recur: Recur, options: StreamOptions
) -> Iterator[Conversation]:
    """The stream of a data set called ``name``: its parts in turn, media recurring as ``recur`` says.

    Questions about the same media are found among ``window`` cases, which are read ahead for that.

    ``reuse_rate`` is the share of requests about media that were shown before, not counting what data repeat; when all
    other questions are asked, it is at least that. ``popularity`` says which come back: all of a block alike
    (``even``), or some of all so far often (``zipf``). With a ``reuse_rate`` of 0, and under ``none``, the stream ends
    with the data set; else a data set that has been gone through is begun anew. Nothing is read that is not asked
    about, apart from grouping.
    """
    rng = stream(options.split, name, options.seed, "recur")
    groups = _in_turn([_grouped(parts[part], recur, window) for part in rng.permutation(list(parts))])
    maker = _Conversations(name, recur, rng)
    once = recur == "none" or options.reuse_rate == 0
    conversations = map(maker.once, groups) if once else _with_repeats(groups, maker, recur, options, rng)
    left = options.samples
    while left > 0:
        conversation = next(conversations, None)
        if conversation is None:
            return
        yield replace(conversation, turns=conversation.turns[:left])
        left -= len(conversation.turns)


class _Loaded:
    """A case that is read when it is first needed."""

    def __init__(self, case: Case) -> None:
        self.case = case

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """What the case says."""
        return self.case.load()

    @property
    def media(self) -> list[Media]:
        """All of its media, in order."""
        return [medium for turn in self.turns for medium in turn.media]

    @cached_property
    def group(self) -> str:
        """What it shares with cases about the same media: as the data say, else its first medium, else nothing."""
        if self.case.group is not None:
            return self.case.group
        return f"media/{blake3(self.media[0].data).hexdigest()[:16]}" if self.media else f"case/{self.case.id}"


class _Conversations:
    """Makes conversations of cases, and keeps which media were shown."""

    def __init__(self, name: str, recur: Recur, rng: np.random.Generator) -> None:
        self._name = name
        self._recur = recur
        self._rng = rng
        self._openings: set[str] = set()
        self._pictures: dict[str, Media] = {}  # the first of each group that was shown

    def once(self, cases: Sequence[_Loaded]) -> Conversation:
        """The first case as it is."""
        return self._conversation(cases[0], (), "")

    def request(self, cases: Sequence[_Loaded], number: int) -> Conversation:
        """The ``number``-th request about the media of ``cases``, from 0."""
        case = cases[number % len(cases)]
        before = self._before(case) if case.group in self._pictures or number else ()
        if case.media:
            self._pictures.setdefault(case.group, case.media[0])
        again = number // len(cases)
        return self._conversation(case, before, f"{AGAIN}{again}" if again else "")

    def _before(self, case: _Loaded) -> tuple[str | Media, ...]:
        """What stands before a case whose media were shown before."""
        others = [medium for group, medium in self._pictures.items() if group != case.group]
        if self._recur != "shuffle" or not others:
            return (f"{self._opening()}\n",)
        chosen = self._rng.permutation(len(others))[:MOST_OTHERS]
        return (f"{self._opening()}\n", *(others[index] for index in chosen), APART)

    def _opening(self) -> str:
        while (text := opening(self._rng, most=2)) in self._openings:
            pass
        self._openings.add(text)
        return text

    def _conversation(self, case: _Loaded, before: tuple[str | Media, ...], mark: str) -> Conversation:
        first, *later = case.turns
        turns = (replace(first, content=(*before, *first.content)), *later)
        named = tuple(_named(turn, f"{turn.id}{mark}") for turn in turns)
        cluster = case.case.cluster or f"{self._name}/{case.group}"
        return Conversation(f"{case.case.id}{mark}", cluster, case.case.system, named)


def _with_repeats(
    groups: Iterator[Sequence[_Loaded]],
    maker: _Conversations,
    recur: Recur,
    options: StreamOptions,
    rng: np.random.Generator,
) -> Iterator[Conversation]:
    """Block by block, each first once and then again, without end."""
    known: list[Sequence[_Loaded]] = []
    times: Counter[int] = Counter()
    owed = 0.0

    def ask(index: int) -> Conversation:
        times[index] += 1
        return maker.request(known[index], times[index] - 1)

    for block in _blocks(groups, known):
        yield from map(ask, block)
        others = [index for index in block for _ in known[index][1:]] if recur == "questions" else []
        yield from map(ask, rng.permutation(others).astype(int))
        repeats = len(block) * options.reuse_rate / (1 - options.reuse_rate) if options.reuse_rate < 1 else np.inf
        owed = max(owed + repeats - len(others), 0)
        coming = _coming_back(block, len(known), options, rng)
        while owed > ALMOST_1:
            owed -= 1
            yield ask(next(coming))


def _blocks(groups: Iterator[Sequence[_Loaded]], known: list[Sequence[_Loaded]]) -> Iterator[list[int]]:
    """Places in ``known``, to which what is new is added; when nothing is, from the first place again."""
    start = 0
    while True:
        new = list(islice(groups, BLOCK))
        known += new
        if not known:
            return
        if not new:
            start %= len(known)
        block = list(range(start, min(start + BLOCK, len(known))))
        start = block[-1] + 1
        yield block


def _coming_back(block: list[int], known: int, options: StreamOptions, rng: np.random.Generator) -> Iterator[int]:
    """Which places come back, without end."""
    while True:
        if options.popularity == "zipf":
            yield zipf_rank(known, rng.random())
        else:
            yield from map(int, rng.permutation(block))


def _grouped(part: Callable[[], Iterator[Case]], recur: Recur, size: int) -> Iterator[Sequence[_Loaded]]:
    """The cases of a part, those about the same media together if all of their questions are to be asked."""
    cases = map(_Loaded, part())
    if recur != "questions":
        yield from ([case] for case in cases)
        return
    while window := list(islice(cases, size)):
        grouped: dict[str, list[_Loaded]] = {}
        for case in window:
            grouped.setdefault(case.group, []).append(case)
        yield from grouped.values()


def _in_turn(parts: Sequence[Iterator[T]]) -> Iterator[T]:
    """One of each part, again and again, until all have ended."""
    going = list(parts)
    while going:
        for part in list(going):
            try:
                yield next(part)
            except StopIteration:
                going.remove(part)


def _named(turn: Turn, name: str) -> Turn:
    return replace(turn, id=name, answer=replace(turn.answer, seed=name))
