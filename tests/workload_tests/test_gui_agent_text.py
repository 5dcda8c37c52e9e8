"""Agents that see text: every answer stands on the screenshots, and where they differ on the newest."""

from __future__ import annotations

import io
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from workloads.base import StreamOptions
from workloads.pages.cells import BLANK, CELL, draw_cell
from workloads.pages.sentences import VOCABULARY, write
from workloads.records import Turn
from workloads.registry import contents_of, load_workload

TILES = {draw_cell(text).tobytes(): text for text in (*VOCABULARY, BLANK)}


@cache
def _turns(window: int) -> list[Turn]:
    stream = load_workload(f"gui-agent-text@window={window}").conversations(StreamOptions(48))
    return [conversation.turns[0] for conversation in stream]


@cache
def _text(data: bytes) -> str:
    """The running text of a screenshot."""
    with Image.open(io.BytesIO(data)) as file:
        pixels = np.asarray(file.convert("L"))
    side = pixels.shape[0] // CELL
    tiles = pixels.reshape(side, CELL, side, CELL).transpose(0, 2, 1, 3).reshape(-1, CELL, CELL)
    return write(text for text in (TILES[tile.tobytes()] for tile in tiles) if text != BLANK)


@pytest.mark.parametrize("window", [1, 3, 5])
def test_every_answer_stands_on_a_screenshot_of_the_window(window: int) -> None:
    for turn in _turns(window):
        asked = f"{turn.answer_begins} {turn.answer.gold}"
        shown = [asked in _text(medium.data) for medium in turn.media]
        assert len(shown) == window
        if turn.family == "lasting":
            assert all(shown)
        if turn.family == "typed":
            assert any(shown)
            assert {_text(m.data).count(turn.answer_begins) for m in turn.media} <= {0, 1}
        if turn.family == "revised":
            assert shown == [False] * (window - 1) + [True]
            assert all(turn.answer_begins in _text(medium.data) for medium in turn.media)


def test_every_family_is_asked() -> None:
    assert {turn.family for turn in _turns(1)} == {"typed", "lasting"}
    assert {turn.family for turn in _turns(3)} == {"typed", "lasting", "revised"}


def test_each_step_adds_a_screenshot_and_the_oldest_leaves() -> None:
    turns = _turns(3)
    for before, after in pairwise(turns):
        if before.id.rpartition("-")[0] == after.id.rpartition("-")[0]:
            assert after.media[:-1] == before.media[1:]


def test_it_is_for_models_that_read_text() -> None:
    assert contents_of("gui-agent-text@window=5") == "text"
    assert contents_of("gui-agent@window=5") == "cards"
