"""Which case each conversation of a stream is about: cases with media of their own, or drawn from a growing pool."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from typing import Generic, TypeVar

import numpy as np

from workloads.base import StreamOptions
from workloads.synthetic.pool import RecurringPool, zipf_rank

T = TypeVar("T")

LONGEST_LAG = 3  # cases that begin between a case's first conversations and those that come back to it
FINEST_RATE = 1000  # largest denominator of a reuse rate as a fraction


@dataclass(frozen=True)
class Visit(Generic[T]):
    """One conversation's case.

    Attributes:
        case: its media and what is known about them.
        index: the number of the case, from 0, in order of arrival.
        number: how many conversations were about the case before.
    """

    case: T
    index: int
    number: int


def visit_cases(
    make: Callable[[int], T], cold: int, options: StreamOptions, rng: np.random.Generator
) -> Iterator[Visit[T]]:
    """The case of every conversation, without end; randomness is drawn one conversation at a time.

    With popularity ``own``, a case is a sample of its own: ``cold`` conversations bring its media, the next ones come
    back to them, and then it is over. Those that come back wait until up to ``LONGEST_LAG`` more cases have begun, each
    case as many as is drawn for it, and none for the first case, so that short streams reuse, too. A case comes back as
    often as makes ``options.reuse_rate`` the share of conversations about media shown before. With ``zipf`` and
    ``even``, cases come from a ``RecurringPool``. From a working set (``options.distinct``) each conversation draws its
    case anew.

    Args:
        make: makes the case with that number.
        cold: conversations that it takes to show all media of a case.
    """
    if options.distinct:
        yield from _working_set(make, options, rng)
        return
    if options.popularity == "own":
        yield from _own_cases(make, cold, options.reuse_rate, rng)
        return
    indices = RecurringPool(lambda index: (index, make(index)), options.reuse_rate, options.popularity)
    visits = Counter[int]()
    while True:
        index, case = indices.draw(rng)
        yield Visit(case, index, visits[index])
        visits[index] += 1


def _own_cases(make: Callable[[int], T], cold: int, rate: float, rng: np.random.Generator) -> Iterator[Visit[T]]:
    due: dict[int, list[Visit[T]]] = defaultdict(list)
    share = _exact(rate)
    for index in count():
        case = make(index)
        yield from (Visit(case, index, number) for number in range(cold))
        if share == 1:
            yield from (Visit(case, index, number) for number in count(cold))
        lag = int(rng.integers(LONGEST_LAG + 1)) if index else 0
        returns = returns_of(index, cold, share)
        due[index + lag] += (Visit(case, index, number) for number in range(cold, cold + returns))
        yield from sorted(due.pop(index, ()), key=lambda visit: (visit.number, visit.index))


def _working_set(make: Callable[[int], T], options: StreamOptions, rng: np.random.Generator) -> Iterator[Visit[T]]:
    """Cases are numbered in the order in which they are first drawn."""
    drawn: dict[int, Visit[T]] = {}
    while True:
        chance = rng.random()
        zipf = options.popularity == "zipf"
        place = zipf_rank(options.distinct, chance) if zipf else int(chance * options.distinct)
        before = drawn.get(place)
        visit = Visit(make(len(drawn)), len(drawn), 0) if before is None else replace(before, number=before.number + 1)
        drawn[place] = visit
        yield visit


def returns_of(index: int, cold: int, share: Fraction) -> int:
    """How many conversations come back to case ``index``, so that they are ``share`` (0 <= share < 1) of all so far."""
    per_case = cold * share / (1 - share)
    return int((index + 1) * per_case) - int(index * per_case)


def _exact(rate: float) -> Fraction:
    """The rate as a fraction, so that 1/3 stays one; ValueError outside 0 and 1."""
    if not 0 <= rate <= 1:
        raise ValueError(f"reuse_rate must be between 0 and 1, not {rate}")
    return Fraction(rate).limit_denominator(FINEST_RATE)
