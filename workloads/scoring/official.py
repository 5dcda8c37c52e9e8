"""Score with a benchmark's own scorer, and detect a guess: such scorers draw from Python's global random state."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from workloads.judgement import Judgement


def officially(scorer: Callable[[], float], seed: str) -> Judgement:
    """Run ``scorer`` with guesses that follow from ``seed``. If it drew one, it could not read the reply: no score."""
    with random_state_kept():
        random.seed(seed)
        before = random.getstate()
        value = scorer()
        guessed = random.getstate() != before
    return Judgement(0.0 if guessed else value, not guessed, value)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Whatever is done to the global random state is undone in the end."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
