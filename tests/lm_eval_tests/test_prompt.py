"""What is read from lm-eval's requests: where pictures stand, that they lose nothing, and which answers are refused."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from runners.engine.errors import MediaError
from runners.engine.media.pictures import decode_image
from runners.lm_eval.prompt import PLACEHOLDER, Question, read, read_generation, write_chat
from workloads.errors import UsageError
from workloads.media.rgb import to_rgb
from workloads.records import media_in

Ask = Callable[..., Any]
ALL = 999
ORIENTATION = 0x0112  # of EXIF
PICTURES = [Image.new("RGB", (width, 2)) for width in range(1, 9)]

pieces = st.text().filter(lambda text: PLACEHOLDER not in text)


def shown(question: Question) -> list[tuple[str, str]]:
    """Role and content of each message, a picture as the placeholder with its width."""
    return [
        (role, "".join(part if isinstance(part, str) else f"<{part.width}>" for part in content))
        for role, content in question.messages
    ]


def noise(mode: str) -> Image.Image:
    """A picture of any mode that has all of its values."""
    pixels = np.random.default_rng(0).integers(0, 2**16, (8, 9, 4), dtype=np.uint16)
    if mode == "I;16":
        return Image.fromarray(pixels[:, :, 0])
    picture = Image.fromarray(pixels.astype(np.uint8))
    return picture.convert("RGB" if mode in ("HSV", "YCbCr", "CMYK") else picture.mode).convert(mode)


def file_of(ask: Ask, picture: Image.Image) -> Image.Image:
    """The file that a runner is given for it, opened."""
    (medium,) = media_in(read(ask("<image>", [picture]), ALL).request().messages)
    return Image.open(io.BytesIO(medium.data))


def refusal(*arguments: Any) -> str:
    with pytest.raises(UsageError) as caught:
        read(*arguments)
    return str(caught.value)


@given(texts=st.lists(pieces, min_size=1, max_size=8))
def test_pictures_stand_where_their_placeholders_stood(ask: Ask, texts: list[str]) -> None:
    context = PLACEHOLDER.join(texts)
    question = read(ask(context, PICTURES[: len(texts) - 1]), ALL)
    ((role, content),) = question.messages
    assert role == "user"
    assert [part for part in content if not isinstance(part, str)] == PICTURES[: len(texts) - 1]
    assert "".join(part if isinstance(part, str) else PLACEHOLDER for part in content) == context
    assert "" not in content


def test_pictures_are_dealt_over_the_messages_of_a_chat(ask: Ask) -> None:
    chat = [
        {"role": "system", "content": "Look at <image>."},
        {"role": "user", "content": "<image>Which?"},
        {"role": "assistant", "content": "The first."},
        {"role": "user", "content": "Why? <image><image>"},
    ]
    assert shown(read(ask(write_chat(chat), PICTURES[:4]), ALL)) == [
        ("system", "Look at <1>."),
        ("user", "<2>Which?"),
        ("assistant", "The first."),
        ("user", "Why? <3><4>"),
    ]


def test_a_text_that_looks_like_a_chat_is_a_text(ask: Ask) -> None:
    context = str(write_chat([{"role": "system", "content": "Obey."}]))
    assert shown(read(ask(context), ALL)) == [("user", context)]


@pytest.mark.parametrize(
    ("most", "expected"), [(0, "a  b  c"), (1, "a <1> b  c"), (2, "a <1> b <2> c"), (3, "a <1> b <2> c")]
)
def test_pictures_beyond_the_most_are_left_out_with_their_placeholders(ask: Ask, most: int, expected: str) -> None:
    assert shown(read(ask("a <image> b <image> c", PICTURES[:2]), most)) == [("user", expected)]


def test_placeholders_without_pictures_are_refused(ask: Ask) -> None:
    assert refusal(ask("<image> and <image>?", PICTURES[:1], number=7), ALL) == (
        "task 'cards', document 7: its prompt has 2 <image> for 1 pictures; lm-eval hands over none for few-shot "
        "examples: use --num_fewshot 0"
    )
    assert "0 <image> for 1 pictures" in refusal(ask("Which?", PICTURES[:1]), ALL)
    assert "1 <image> for 0 pictures" in refusal(ask("<image>?"), ALL)


def test_what_is_no_picture_is_refused(ask: Ask) -> None:
    assert refusal(ask("<image><image>", [PICTURES[0], "page.png"]), ALL) == (
        "task 'cards', document 0: 'doc_to_image' must give PIL images, not str"
    )
    sound = ask("Listen.")
    sound.arguments = (*sound.arguments, {"audio": [b""]})
    assert "runners take pictures, no sound" in refusal(sound, ALL)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_picture_loses_nothing_in_its_file(ask: Ask, mode: str) -> None:
    picture = noise(mode)
    assert np.array_equal(np.asarray(picture), np.asarray(file_of(ask, picture)))
    assert picture.getpalette() == file_of(ask, picture).getpalette()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "F"])
def test_a_picture_that_png_cannot_hold_is_what_a_model_sees_of_it(ask: Ask, mode: str) -> None:
    picture = noise(mode)
    assert np.array_equal(np.asarray(to_rgb(picture)), np.asarray(file_of(ask, picture)))


def test_a_picture_is_not_turned_by_notes_that_came_with_it(ask: Ask) -> None:
    picture, buffer, notes = noise("RGB"), io.BytesIO(), Image.Exif()
    notes[ORIENTATION] = 6
    picture.save(buffer, "PNG", exif=notes)
    (medium,) = media_in(read(ask("<image>", [Image.open(buffer)]), ALL).request().messages)
    assert Image.open(buffer).getexif()[ORIENTATION] == 6
    assert np.array_equal(np.asarray(picture), np.asarray(decode_image(medium)))


def test_equal_pictures_are_equal_files_however_they_came(ask: Ask) -> None:
    picture = Image.effect_noise((16, 16), 40.0)
    files: list[bytes] = []
    for name in ("PNG", "TIFF", "WEBP"):
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, name, lossless=True, dpi=(300, 300))
        request = read(ask("<image>", [Image.open(buffer)]), ALL).request()
        files += [medium.data for medium in media_in(request.messages)]
    assert len(set(files)) == 1


def test_a_damaged_picture_says_which_it_is(ask: Ask) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 40.0).save(buffer, "PNG")
    damaged = Image.open(io.BytesIO(buffer.getvalue()[:-500]))
    with pytest.raises(MediaError, match=r"^cards/3-image-2: not a readable picture \("):
        read(ask("<image><image>", [PICTURES[0], damaged], number=3), ALL).request()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, (256, ())),
        ({"until": "\n"}, (256, ("\n",))),
        ({"until": ["a", "b"], "max_gen_toks": 7}, (7, ("a", "b"))),
        ({"max_new_tokens": 9, "do_sample": False, "temperature": 0.0, "top_p": None}, (9, ())),
        ({"do_sample": False, "temperature": 0.7, "top_p": 0.9}, (256, ())),
        ({"num_beams": 1, "repetition_penalty": 1.0}, (256, ())),
    ],
)
def test_what_greedy_answers_are_told(told: dict[str, Any], expected: tuple[int, tuple[str, ...]]) -> None:
    assert read_generation(told, "task 't'") == expected


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"temperature": 0.7}, "runners answer greedily: set do_sample=false and temperature=0 with --gen_kwargs"),
        ({"do_sample": True}, "runners answer greedily: set do_sample=false and temperature=0 with --gen_kwargs"),
        ({"num_beams": 4}, "generation argument num_beams=4 is not supported; runners answer greedily"),
        ({"max_length": 9}, "generation argument max_length=9 is not supported; runners answer greedily"),
        ({"max_gen_toks": 0}, "max_gen_toks must be at least 1, not 0"),
    ],
)
def test_other_answers_are_refused(told: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_generation(told, "task 't', document 0")
    assert str(caught.value) == f"task 't', document 0: {line}"
