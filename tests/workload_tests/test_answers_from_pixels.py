"""Every answer key again, worked out by a reader that sees only what a model sees: files and words.

The reader decodes the files, compares each cell with the shapes of a font, and follows the question's wording. It
shares no code with the generators.
"""

from __future__ import annotations

import io
import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFont, ImageSequence

from workloads.base import StreamOptions
from workloads.records import Conversation, Media
from workloads.registry import CARDS, load_workload
from workloads.synthetic.cards import cards_on
from workloads.synthetic.drawing import Grid

CELL = 16
SAMPLES = 150
FEWEST_VISION_TOKENS = 500

Sheet = dict[tuple[int, int], str]  # the characters of one picture by row and column
Prompt = tuple[list[Media], str, str, str]  # media, question, answer key, family


# --- the reader -------------------------------------------------------------------------------------------------------


@cache
def _shapes() -> dict[bytes, str]:
    """Every character by its shape, cut to its ink."""
    font = ImageFont.load_default_imagefont()
    shapes = {}
    for character in string.ascii_letters + string.digits + "#*+@&":
        mask = font.getmask(character)
        pixels = np.array([mask.getpixel((x, y)) for y in range(mask.size[1]) for x in range(mask.size[0])])
        shapes[_cut(pixels.reshape(mask.size[::-1]) > 0)] = character
    assert len(shapes) == 67, "two characters look the same"
    return shapes


def _cut(ink: NDArray[np.bool_]) -> bytes:
    rows, cols = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    shape = ink[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    return bytes(shape.shape) + shape.tobytes()


def _read_pixels(pixels: NDArray[np.uint8]) -> Sheet:
    colors = pixels.astype(np.int64) @ (1 << 16, 1 << 8, 1)
    known, counts = np.unique(colors, return_counts=True)
    dark = colors != known[counts.argmax()]  # paper is the most frequent colour
    sheet = {}
    for row in range(dark.shape[0] // CELL):
        for col in range(dark.shape[1] // CELL):
            cell = dark[row * CELL : (row + 1) * CELL, col * CELL : (col + 1) * CELL]
            if cell.any():
                sheet[row, col] = _shapes()[_cut(cell if cell.mean() < 0.5 else ~cell)]
    return sheet


@cache
def _frames(data: bytes) -> tuple[NDArray[np.uint8], ...]:
    with Image.open(io.BytesIO(data)) as file:
        return tuple(np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(file))


@cache
def _read(data: bytes) -> tuple[Sheet, ...]:
    """One sheet per moment: a picture has one, a clip one for every two frames."""
    frames = _frames(data)
    return tuple(_read_pixels(frame) for frame in (frames if len(frames) == 1 else frames[::2]))


def _cards(sheet: Sheet) -> dict[str, str]:
    """Letters and the digit to the right of each."""
    found = [(name, sheet[row, col + 1]) for (row, col), name in sheet.items() if name in string.ascii_letters]
    cards = dict(found)
    assert len(cards) == len(found), "a key stands twice on one page"
    assert all(value in string.digits for value in cards.values())
    return cards


def _links(sheet: Sheet) -> dict[str, str]:
    """Letters and the letter or digit each leads to; cards may touch, so they are read from the left in pairs."""
    found: dict[str, str] = {}
    used: set[tuple[int, int]] = set()
    for row, col in sorted(sheet):
        if (row, col) not in used:
            assert sheet[row, col] not in found, "a key stands twice on one page"
            found[sheet[row, col]] = sheet[row, col + 1]
            used.add((row, col + 1))
    return found


def _answer(media: Sequence[Media], question: str) -> str:
    """What a careful reader says."""
    pages = [sheet for medium in media for sheet in _read(medium.data)]
    if question.startswith("What value is "):
        name = question.removeprefix("What value is ")
        for page in reversed(pages):
            name = _links(page).get(name, name)
        return name
    names = re.fullmatch(r"(?:Value|Count|Larger) of (\S)(?: or (\S))?|When seen (\S)", question)
    values = {key: value for page in pages for key, value in _cards(page).items()}
    if question.startswith("Value") and names:
        return values[names[1]]
    if question.startswith("Larger") and names:
        assert values[names[1]] != values[names[2]], "a draw"
        return max(names[1], names[2], key=lambda key: int(values[key]))
    if question.startswith("Count") and names:
        different = {medium.data for medium in media}
        return str(sum(list(_read(data)[0].values()).count(names[1]) for data in different))
    if question in ("What changed", "Which key differs", "New value", "Old value"):
        old, new = _cards(pages[-2]), _cards(pages[-1])
        changed = [key for key in old if old[key] != new[key]]
        if not changed:
            return "none"
        (key,) = changed
        return {"New value": new[key], "Old value": old[key]}.get(question, key)
    return _answer_about_clip(pages, question, names[3] if names else None)


def _answer_about_clip(pages: Sequence[Sheet], question: str, name: str | None) -> str:
    standing = [_cards(page) for page in pages]
    if name is not None:
        (moment,) = (page for page, objects in zip(pages, standing, strict=True) if name in objects)
        return moment[0, 0]
    always = set.intersection(*(set(objects) for objects in standing))
    (mover,) = (key for key in always if len({objects[key] for objects in standing}) > 1)
    return {"What moved": mover, "Moved to": standing[-1][mover]}[question]


# --- the tests --------------------------------------------------------------------------------------------------------


def _prompts(conversations: Sequence[Conversation]) -> list[Prompt]:
    """Everything a runner is asked, history included."""
    found = []
    for conversation in conversations:
        for index, turn in enumerate(conversation.turns):
            parts = [part for message in conversation.prompt(index) for part in message.content]
            question = parts[-1]
            assert isinstance(question, str)
            media = [part for part in parts if isinstance(part, Media)]
            found.append((media, question, turn.answer.gold, turn.family))
    return found


@pytest.fixture(scope="module", params=list(CARDS))
def prompts(request: pytest.FixtureRequest) -> list[Prompt]:
    """Many prompts of one workload."""
    return _prompts(list(load_workload(request.param).conversations(StreamOptions(SAMPLES, seed=7))))


def test_every_answer_can_be_read_from_the_pixels(prompts: list[Prompt]) -> None:
    for media, question, gold, _ in prompts:
        assert _answer(media, question) == gold, question


@pytest.mark.parametrize(
    ("workload", "families"),
    [
        ("image-chat", {"value", "count", "larger"}),
        ("doc-qa", {"value", "larger"}),
        ("video", {"moved", "moved-to", "when"}),
        ("binding", {"changed", "differs", "new", "old"}),
        ("multi-hop", {"hop"}),
        ("two-lists", {"hop"}),
    ],
)
def test_every_family_is_asked_often(workload: str, families: set[str]) -> None:
    asked = Counter(
        family for *_, family in _prompts(list(load_workload(workload).conversations(StreamOptions(SAMPLES, seed=7))))
    )
    assert set(asked) == families
    assert min(asked.values()) > SAMPLES / len(families) / 3


def test_questions_name_one_thing_only(prompts: list[Prompt]) -> None:
    """No key and no mark stands on two different pages of a prompt, except on the two versions that are compared."""
    for media, _, _, family in prompts:
        if media[0].kind == "video":
            continue
        if family == "hop":
            other, values, links = (_links(_read(medium.data)[0]) for medium in media)
            assert len({*other, *values, *links}) == len(other) + len(values) + len(links)
            assert set(links.values()) <= {*other, *values}
            continue
        pages = [_read(data)[0] for data in dict.fromkeys(medium.data for medium in media)]
        if family in ("changed", "differs", "new", "old"):
            old, new = (_cards(_read(medium.data)[0]) for medium in media[-2:])
            assert list(old) != list(new) or media[-2].data == media[-1].data, "versions are laid out anew"
            assert set(old) == set(new)
            pages = pages[:2]
        symbols = Counter(symbol for page in pages for symbol in set(page.values()) if symbol not in string.digits)
        assert set(symbols.values()) == {1}


def test_clips_tell_one_story() -> None:
    clips = {
        m.data: m for c in load_workload("video").conversations(StreamOptions(60, seed=3)) for m in c.turns[0].media
    }
    for data in clips:
        moments = _read(data)
        assert [page[0, 0] for page in moments] == ["1", "2", "3", "4"], "the clock"
        standing = [_cards(page) for page in moments]
        assert all(len(set(objects.values())) == len(objects) for objects in standing), "one object to a place"
        present = Counter(key for objects in standing for key in objects)
        assert set(present.values()) == {1, len(moments)}, "objects stay, or are seen once"
        moves = [key for key in present if len({objects.get(key) for objects in standing} - {None}) > 1]
        assert len(moves) == 1
        places = [objects[moves[0]] for objects in standing]
        assert sum(a != b for a, b in pairwise(places)) == 1, "it moves once"


def test_two_frames_make_a_moment() -> None:
    (clip,) = (c.turns[0].media[0] for c in load_workload("video").conversations(StreamOptions(1)))
    frames = _frames(clip.data)
    assert len(frames) == 8
    for first, second in zip(frames[::2], frames[1::2], strict=True):
        difference = np.abs(first.astype(int) - second.astype(int))
        assert (difference.sum(), difference[-1, -1].sum()) == (1, 1), "kept apart by one invisible step"


def test_every_prompt_has_hundreds_of_vision_tokens(prompts: list[Prompt]) -> None:
    for media, *_ in prompts:
        tokens = 0
        for medium in media:
            frames = _frames(medium.data)
            assert (len(frames) == 1) == (medium.kind == "image")
            height, width, _ = frames[0].shape
            assert height % CELL == width % CELL == 0
            tokens += (height // CELL) * (width // CELL) * max(1, len(frames) // 2)
        assert tokens >= FEWEST_VISION_TOKENS


def test_content_share_is_what_the_pixels_show(prompts: list[Prompt]) -> None:
    for media, *_ in prompts:
        for medium in media:
            sheets = _read(medium.data)
            height, width, _ = _frames(medium.data)[0].shape
            cells = len(sheets) * (height // CELL) * (width // CELL)
            assert medium.content_share == pytest.approx(sum(map(len, sheets)) / cells)


def test_glyph_density_does_not_shrink_as_pages_grow() -> None:
    """Sparse pages would make any small recompute ratio look good."""
    shares = [2 * cards_on(grid) / grid.cells for grid in (Grid(8, 8), Grid(12, 14), Grid(24, 28))]
    assert max(shares) - min(shares) < 0.02
