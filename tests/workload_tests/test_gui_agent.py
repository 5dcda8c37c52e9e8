"""Agents: a window of screenshots slides on, and every answer can be read from what it shows."""

from __future__ import annotations

import io
import string
from collections import Counter
from functools import cache
from itertools import groupby, pairwise

import numpy as np
import pytest
from PIL import Image, ImageFont

from workloads.agents.session import LATER_STEPS, draw_steps
from workloads.base import StreamOptions
from workloads.errors import UsageError
from workloads.records import Conversation, Turn
from workloads.registry import load_workload, open_workload
from workloads.seeding import stream

CELL = 16
WINDOWS = (1, 2, 3, 5, 10)
every_window = pytest.mark.parametrize("window", WINDOWS)


@cache
def _stream(window: int, samples: int = 60) -> list[Conversation]:
    return list(load_workload(f"gui-agent@window={window}").conversations(StreamOptions(samples)))


@cache
def _shapes() -> dict[bytes, str]:
    font = ImageFont.load_default_imagefont()
    shapes = {}
    for glyph in string.ascii_letters + string.digits:
        mask = font.getmask(glyph)
        ink = np.array([mask.getpixel((x, y)) for y in range(mask.size[1]) for x in range(mask.size[0])])
        shapes[_cut(ink.reshape(mask.size[::-1]) > 0)] = glyph
    return shapes


def _cut(ink: np.ndarray) -> bytes:
    rows, cols = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    shape = ink[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    return bytes(shape.shape) + shape.tobytes()


@cache
def _fields(data: bytes) -> dict[str, str]:
    """What a screenshot says: each letter with the digit to its right."""
    with Image.open(io.BytesIO(data)) as file:
        dark = np.asarray(file.convert("L")) < 128
    glyphs = {}
    for row in range(dark.shape[0] // CELL):
        for col in range(dark.shape[1] // CELL):
            cell = dark[row * CELL : (row + 1) * CELL, col * CELL : (col + 1) * CELL]
            if cell.any():
                glyphs[row, col] = _shapes()[_cut(cell)]
    return {name: glyphs[row, col + 1] for (row, col), name in glyphs.items() if name in string.ascii_letters}


def _read(turn: Turn) -> str:
    """The answer of a reader who sees the screenshots and the question alone."""
    screens = [_fields(medium.data) for medium in turn.media]
    question = turn.content[-1]
    assert isinstance(question, str)
    if question.startswith("Value of "):
        found = {screen[question[-1]] for screen in screens if question[-1] in screen}
        assert len(found) == 1, "a field that is asked for has one value in the window"
        return found.pop()
    old, new = screens[-2:]
    changed = [key for key in old.keys() & new.keys() if old[key] != new[key]]
    if not changed:
        return "none"
    (key,) = changed
    return {"New value": new[key], "Old value": old[key]}.get(question, key)


@every_window
def test_every_answer_can_be_read_from_the_pixels(window: int) -> None:
    for conversation in _stream(window):
        (turn,) = conversation.turns
        assert len(turn.media) == window
        assert _read(turn) == turn.answer.gold


@every_window
def test_each_step_adds_a_screenshot_and_the_oldest_leaves(window: int) -> None:
    sessions = [list(steps) for _, steps in groupby(_stream(window), key=lambda step: step.cluster_id)]
    assert {len(steps) for steps in sessions} == {LATER_STEPS + 1}
    owner: dict[bytes, str] = {}
    for steps in sessions:
        assert len({step.turns[0].content[0] for step in steps}) == 1, "one task"
        for before, after in pairwise(step.turns[0].media for step in steps):
            assert after[:-1] == before[1:]
        for step in steps:
            assert all(owner.setdefault(m.data, step.cluster_id) == step.cluster_id for m in step.turns[0].media)


def test_neighbours_are_near_duplicates_and_some_are_equal() -> None:
    pairs = [pair for step in _stream(3, 200) for pair in pairwise(step.turns[0].media)]
    equal = sum(one.data == other.data for one, other in pairs) / len(pairs)
    assert equal == pytest.approx(0.25, abs=0.08)
    for one, other in pairs:
        old, new = _fields(one.data), _fields(other.data)
        assert len(old) == len(new) == 10
        assert sum(old[key] != new[key] for key in old.keys() & new.keys()) <= 1
        assert len(old.keys() & new.keys()) in (8, 10)


@pytest.mark.parametrize(
    ("window", "families"),
    [(1, {"value", "typed"}), (3, {"value", "typed", "changed", "differs", "new", "old"})],
)
def test_every_family_is_asked(window: int, families: set[str]) -> None:
    asked = Counter(step.turns[0].family for step in _stream(window, 200))
    assert set(asked) == families
    assert min(asked.values()) >= 10


def test_what_was_typed_steps_ago_is_asked_for() -> None:
    ago = Counter(
        next(
            back
            for back, medium in enumerate(reversed(turn.media))
            if str(turn.content[-1])[-1] in _fields(medium.data)
        )
        for turn in (step.turns[0] for step in _stream(5, 200))
        if turn.family == "typed"
    )
    assert {0, 1, 2} <= set(ago) <= {0, 1, 2}


@every_window
def test_a_window_shows_one_change_at_most(window: int) -> None:
    for seed in range(20):
        steps = draw_steps(stream("bench", "steps", seed), 40, window)
        for start in range(len(steps) - window + 1):
            assert sum(step.changes for step in steps[start + 1 : start + window]) <= 1


def test_the_default_window_is_three() -> None:
    plain = list(load_workload("gui-agent").conversations(StreamOptions(12)))
    assert plain == _stream(3, 12)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gui-agent@window=0", "workload 'gui-agent@window=0': window must be a whole number from 1 to 16, not 0"),
        ("gui-agent@window=17", "workload 'gui-agent@window=17': window must be a whole number from 1 to 16, not 17"),
        ("gui-agent@window=x", "workload 'gui-agent@window=x': window must be a whole number from 1 to 16, not 'x'"),
        ("gui-agent@window", "workload 'gui-agent@window': write options as gui-agent@option=value"),
        ("gui-agent@", "workload 'gui-agent@': write options as gui-agent@option=value"),
        ("gui-agent@grid=3", "unknown option of workload 'gui-agent' 'grid': known: window"),
        ("gui-agent@window=3,window=3", "workload 'gui-agent@window=3,window=3': option 'window' is given twice"),
        ("binding@window=3", "workload 'binding@window=3': binding takes no options; write binding"),
        ("gui-agnet@window=3", "unknown workload 'gui-agnet': did you mean 'gui-agent'?"),
    ],
)
def test_wrong_options_are_told_in_one_line(name: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        open_workload(name)
    assert str(error.value) == told
