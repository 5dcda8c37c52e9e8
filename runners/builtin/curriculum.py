"""The stages of training: small dense pages first, then bindings and hops, then the benchmark's size and density."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from runners.builtin.lessons import Syllabus


@dataclass(frozen=True)
class Stage:
    """Some steps on lessons of one syllabus."""

    name: str
    steps: int
    lessons: int
    syllabus: Syllabus


@dataclass(frozen=True)
class Cycle:
    """Stages under one rise and fall of the learning rate.

    Attributes:
        learning_rate: its peak.
    """

    learning_rate: float
    stages: tuple[Stage, ...]

    @property
    def steps(self) -> int:
        """Steps of all stages together."""
        return sum(stage.steps for stage in self.stages)


Curriculum = Sequence[Cycle]

_SMALL = Syllabus((4, 5), (5, 6), 5, (1, 2), 8)
_MIDDLE = Syllabus((6, 9), (6, 9), 9, (2, 3), 8)
_FULL = Syllabus((10, 13), (11, 15), 14, (2, 4), 10)

_READ = Stage("read", 450, 32, replace(_SMALL, mixture={"album": 0.7, "video": 0.3}))
_BIND = {"album": 0.35, "binding": 0.4, "video": 0.25}
_PAIRS = {"album": 0.4, "binding": 0.3, "video": 0.3}
_HOPS = {"album": 0.25, "binding": 0.15, "video": 0.1, "hop": 0.5}
_POLISH = {"chat": 0.5, "album": 0.1, "binding": 0.15, "video": 0.1, "hop": 0.15}
_ALL = {"album": 0.25, "binding": 0.25, "video": 0.2, "hop": 0.3}

COMPLETE: Curriculum = (
    Cycle(
        2e-3,
        (
            _READ,
            Stage("bind", 650, 32, replace(_SMALL, mixture=_BIND)),
            Stage("spread", 500, 20, replace(_MIDDLE, mixture=_PAIRS)),
            Stage("full", 1000, 10, replace(_FULL, mixture=_PAIRS)),
        ),
    ),
    Cycle(
        2e-3,
        (
            Stage("hop", 600, 24, replace(_SMALL, mixture=_HOPS)),
            Stage("hop-full", 350, 10, replace(_FULL, mixture=_HOPS)),
        ),
    ),
    Cycle(1e-3, (Stage("settle", 300, 10, replace(_FULL, mixture=_ALL)),)),
    Cycle(5e-4, (Stage("polish", 100, 10, replace(_FULL, mixture=_POLISH)),)),
)
SHORT: Curriculum = (
    Cycle(
        2e-3,
        (
            _READ,
            Stage("bind", 1250, 32, replace(_SMALL, mixture=_BIND)),
            Stage("full", 600, 10, replace(_FULL, mixture=_PAIRS)),
        ),
    ),
)
DEEPER: Curriculum = (
    Cycle(
        1e-3,
        (
            Stage("adapt", 150, 20, replace(_SMALL, mixture=_ALL)),
            Stage("full", 250, 10, replace(_FULL, mixture=_ALL)),
        ),
    ),
)
CURRICULA: Mapping[str, Curriculum] = {
    "complete": COMPLETE,  # the embedded model
    "short": SHORT,  # shorter and without hops, to check methods on another seed
    "deeper": DEEPER,  # for a model grown from a trained one
    "further": (*DEEPER, COMPLETE[-1]),  # for one that goes on from a trained one with another rotary base
}


@dataclass(frozen=True)
class Place:
    """Where a step stands: its stage, its cycle, and how many steps of the cycle came before it."""

    stage: Stage
    cycle: Cycle
    step: int


def place_of(step: int, curriculum: Curriculum) -> Place:
    """The place of ``step`` (from 0); ValueError past the end."""
    for cycle in curriculum:
        if step >= cycle.steps:
            step -= cycle.steps
            continue
        start = 0
        for stage in cycle.stages:
            if step < start + stage.steps:
                return Place(stage, cycle, step)
            start += stage.steps
    raise ValueError("the curriculum is over")


def total_steps(curriculum: Curriculum) -> int:
    """Steps of all cycles together."""
    return sum(cycle.steps for cycle in curriculum)
