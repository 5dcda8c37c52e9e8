"""The stages of training: small dense pages first, then bindings, then pages of the benchmark's size and density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runners.builtin.lessons import Syllabus


@dataclass(frozen=True)
class Stage:
    """Some steps on lessons of one syllabus."""

    name: str
    steps: int
    lessons: int
    syllabus: Syllabus


CURRICULUM = (
    Stage("read", 450, 32, Syllabus((4, 5), (5, 6), 5, (1, 2), 8, {"album": 0.7, "video": 0.3})),
    Stage("bind", 650, 32, Syllabus((4, 5), (5, 6), 5, (1, 2), 8, {"album": 0.35, "binding": 0.4, "video": 0.25})),
    Stage("spread", 500, 20, Syllabus((6, 9), (6, 9), 9, (2, 3), 8, {"album": 0.4, "binding": 0.3, "video": 0.3})),
    Stage("full", 1000, 10, Syllabus((10, 13), (11, 15), 14, (2, 4), 10, {"album": 0.4, "binding": 0.3, "video": 0.3})),
)


def stage_at(step: int, curriculum: Sequence[Stage] = CURRICULUM) -> Stage:
    """The stage that ``step`` (from 0) belongs to; ValueError past the end."""
    for stage in curriculum:
        if step < stage.steps:
            return stage
        step -= stage.steps
    raise ValueError("the curriculum is over")


def total_steps(curriculum: Sequence[Stage] = CURRICULUM) -> int:
    """Steps of all stages together."""
    return sum(stage.steps for stage in curriculum)
