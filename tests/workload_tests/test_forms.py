"""Files in the forms that users already have: what they ask, what counts as right, and where their mistakes are."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from workloads.base import StreamOptions
from workloads.errors import UsageError, quoted
from workloads.files.forms import FORMS
from workloads.files.jsonl import open_jsonl
from workloads.records import Conversation, Media, Turn
from workloads.scoring import judge

Line = dict[str, Any]
Open = Callable[..., list[Conversation]]
PICTURES = ("a.png", "b.png", "c.png")
NAMES = (
    "messages", "role", "content", "type", "text", "image_url", "url", "image", "images", "video", "videos",
    "conversations", "from", "value", "prompt", "image_files", "turns", "texts", "contents", "id", "session_id",
    "answer", "answers", "answer_member", "choices", "metric", "audio",
)  # fmt: skip


def picture(name: str, file_format: str = "PNG", frames: int = 1) -> bytes:
    file = io.BytesIO()
    first, *others = [Image.new("RGB", (8, 8), (ord(name[0]), index, 0)) for index in range(frames)]
    first.save(file, file_format, **({"save_all": True, "append_images": others} if others else {}))
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds three pictures and two animations."""
    for name in PICTURES:
        (tmp_path / name).write_bytes(picture(name))
    (tmp_path / "loop.gif").write_bytes(picture("loop", "GIF", 3))
    (tmp_path / "torn.webp").write_bytes(picture("torn", "WEBP", 3)[:60])
    return tmp_path


@pytest.fixture
def opened(folder: Path) -> Open:
    """The conversations of a file with these lines."""

    def conversations(*lines: Line) -> list[Conversation]:
        path = folder / "own.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return list(open_jsonl(path).conversations(StreamOptions(1000)))

    return conversations


def mistake(opened: Open, *lines: Line) -> str:
    """What is said of the last line, without the path."""
    with pytest.raises(UsageError) as caught:
        opened(*lines)
    _, place, told = str(caught.value).partition(f"own.jsonl, line {len(lines)}: ")
    assert place, str(caught.value)
    assert "\n" not in told
    return told


def asks(*parts: str | Line, **more: Any) -> Line:
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"messages": [{"role": "user", "content": content}], **more}


def part(kind: str, url: str) -> Line:
    return {"type": kind, kind: {"url": url}}


def content(turn: Turn) -> list[str]:
    """Texts as they are, media by their names."""
    return [piece if isinstance(piece, str) else f"{piece.kind} {piece.name}" for piece in turn.content]


def test_a_line_without_an_answer_has_no_gold(opened: Open) -> None:
    (talk,) = opened(asks("Describe it."))
    (answer,) = [turn.answer for turn in talk.turns]
    assert (answer.has_gold, answer.accepted, answer.metric) == (False, (), "exact-match")


def test_a_line_may_name_its_metric(opened: Open) -> None:
    first, second = opened(asks("Total?", answers=["12.90", "EUR 12.90"], metric="anls"), asks("?", answer="a b c"))
    assert judge("12,90", first.turns[0].answer).score == pytest.approx(0.8)
    assert judge("a b", second.turns[0].answer).score == 0


@pytest.mark.parametrize("answer", ["B", "(B)", "the cat", "B. the cat"])
def test_a_line_with_choices_is_answered_by_letter(opened: Open, answer: str) -> None:
    (talk,) = opened(asks("Who?", choices=["the dog", "the cat"], answer=answer))
    (key,) = [turn.answer for turn in talk.turns]
    assert (key.metric, key.choices) == ("option-letter", ("the dog", "the cat"))
    assert [judge(reply, key).score for reply in ("B", "The cat.", "A", "C")] == [1, 1, 0, 0]


def test_replies_in_the_history_are_scored_like_the_last_but_not_as_letters(opened: Open) -> None:
    history = [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "one"}]
    line = {"messages": [*history, {"role": "user", "content": "2?"}]}
    told, lettered, unknown = opened(
        {**line, "answer": "two", "metric": "f1"}, {**line, "answer": "A", "choices": ["two", "three"]}, line
    )
    metrics = [[turn.answer.metric for turn in talk.turns] for talk in (told, lettered, unknown)]
    assert metrics == [["f1", "f1"], ["exact-match", "option-letter"], ["exact-match", "exact-match"]]
    assert [turn.answer.has_gold for turn in unknown.turns] == [True, False]


def test_custom_image_is_a_prompt_and_its_pictures(opened: Open) -> None:
    plain, told = opened(
        {"prompt": "How many?", "image_files": ["a.png", "b.png"], "output_tokens": 20},
        {"prompt": "Which?", "image_files": ["a.png"], "id": 7, "answer": "B", "choices": ["x", "y"]},
    )
    assert content(plain.turns[0]) == ["How many?", "image a.png", "image b.png"]
    assert (plain.id, plain.turns[0].answer.accepted) == ("line-1", ())
    assert (told.id, told.turns[0].answer.accepted, told.turns[0].answer.metric) == ("7", ("B",), "option-letter")
    assert plain.cluster_id == told.cluster_id, "they share a picture"


def says(speaker: str, value: str) -> Line:
    return {"from": speaker, "value": value}


def test_conversations_place_pictures_where_their_placeholders_are(opened: Open) -> None:
    talk = [
        says("system", "Be brief."),
        says("human", "<image>\nWhat is this?"),
        says("gpt", "A cat."),
        says("human", "And between <image> and <image>?"),
        says("gpt", "A dog."),
        says("human", "Sure?"),
    ]
    (conversation,) = opened({"conversations": talk, "image": list(PICTURES), "id": "x"})
    assert conversation.system == "Be brief."
    assert [content(turn) for turn in conversation.turns] == [
        ["image a.png", "What is this?"],
        ["And between ", "image b.png", " and ", "image c.png", "?"],
        ["Sure?"],
    ]
    assert [turn.id for turn in conversation.turns] == ["x.0", "x.1", "x"]
    assert [turn.answer.accepted for turn in conversation.turns] == [("A cat.",), ("A dog.",), ()]
    assert judge("the cat", conversation.turns[0].answer).score == 1


def test_conversations_without_placeholders_begin_with_their_media(opened: Open) -> None:
    talk = [says("user", "What?"), says("assistant", "That."), says("user", "Why?"), says("assistant", "So.")]
    (conversation,) = opened({"conversations": talk, "image": "a.png", "video": "loop.gif", "metric": "anls"})
    first, second = conversation.turns
    assert (content(first), content(second)) == (["image a.png", "video loop.gif", "What?"], ["Why?"])
    assert {first.answer.metric, second.answer.metric} == {"anls"}


def test_multi_turn_is_a_session_whose_answers_nobody_knows(opened: Open) -> None:
    turns = [
        {"role": "system", "text": "Be brief."},
        {"text": "What is this?", "image": "a.png", "delay": 10},
        {"texts": ["And", "these?"], "images": ["b.png", "file://c.png"], "video": "loop.gif"},
        {"texts": [{"name": "field", "contents": ["One", "two"]}], "images": [{"contents": ["a.png"]}]},
    ]
    (talk,) = opened({"session_id": "s1", "turns": turns})
    assert (talk.system, talk.cluster_id) == ("Be brief.", "session/s1")
    assert [content(turn) for turn in talk.turns] == [
        ["What is this?", "image a.png"],
        ["And", "these?", "image b.png", "image file://c.png", "video loop.gif"],
        ["One", "two", "image a.png"],
    ]
    assert [turn.id for turn in talk.turns] == ["s1.0", "s1.1", "s1"]
    assert not any(turn.answer.has_gold for turn in talk.turns)


def test_without_gold_the_history_holds_what_was_replied(opened: Open) -> None:
    (talk,) = opened({"session_id": "s", "turns": [{"text": "1?"}, {"text": "2?"}, {"text": "3?"}]})
    said = [message.content for message in talk.prompt(2, {"s.0": "one", "s.1": "two"}) if message.role == "assistant"]
    assert said == [("one",), ("two",)]
    assert talk.prompt(1)[1].content == ("",)


@pytest.mark.parametrize("url", ["loop.gif", "file://loop.gif", "inline image", "inline video"])
def test_animations_are_videos_where_they_stand_for_one(opened: Open, url: str) -> None:
    data = picture("loop", "GIF", 3)
    if url.startswith("inline"):
        url = f"data:{url.split()[1]}/gif;base64,{base64.b64encode(data).decode()}"
    (talk,) = opened(asks("What moves?", part("video_url", url), part("image_url", "a.png")))
    _, video, image = talk.turns[0].content
    assert isinstance(video, Media)
    assert isinstance(image, Media)
    assert (video.kind, video.data, image.kind) == ("video", data, "image")


def test_one_file_as_picture_and_as_video_are_two_media(opened: Open) -> None:
    (talk,) = opened(asks(part("video_url", "loop.gif"), part("image_url", "loop.gif"), part("video_url", "loop.gif")))
    first, second, third = talk.turns[0].media
    assert first is third
    assert (first.kind, second.kind) == ("video", "image")


@pytest.mark.parametrize(("file_format", "name"), [("mp4", "film.mp4"), ("webm", "film.webm"), ("matroska", "film")])
def test_films_are_read_by_path_and_inline(
    opened: Open, folder: Path, make_film: Callable[..., bytes], file_format: str, name: str
) -> None:
    film = make_film(3, file_format, "libvpx" if file_format == "webm" else "libx264")
    (folder / name).write_bytes(film)
    inline = f"data:video/mp4;base64,{base64.b64encode(film).decode()}"
    (talk,) = opened(asks("?", part("video_url", name), part("video_url", inline)))
    first, second = talk.turns[0].media
    assert first is second
    assert (first.kind, first.data, first.name) == ("video", film, name)


def test_a_film_that_cannot_be_used_is_told(
    opened: Open, folder: Path, make_film: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "film.mp4").write_bytes(make_film(3))
    (folder / "torn.mp4").write_bytes(make_film(3)[:200])
    where = "messages[0].content[0].video_url.url"
    known = "MP4, MOV, WebM, Matroska, PNG, JPEG, WEBP, GIF, BMP, TIFF"
    (folder / "words.mp4").write_text("no film")
    for name, told in (
        ("torn.mp4", f"{where} 'torn.mp4' is not a readable video (Invalid data found when processing input)"),
        ("torn.webp", f"{where} 'torn.webp' is not a readable video ("),
        ("words.mp4", f"{where} 'words.mp4' is not a readable video (none of {known})"),
        ("data:text/plain,film", f"{where} must be a path or start with 'data:video/...;base64,'"),
    ):
        assert mistake(opened, asks(part("video_url", name))).startswith(told)
    monkeypatch.setitem(sys.modules, "av", None)
    missing = "is a video, which takes PyAV to read: pip install 'vlcache[video]'"
    assert mistake(opened, asks(part("video_url", "film.mp4"))) == f"{where} 'film.mp4' {missing}"


def talk(*said: tuple[str, str], **more: Any) -> Line:
    return {"conversations": [says(*pair) for pair in said], **more}


def session(*turns: Any, **more: Any) -> Line:
    return {"session_id": "s", "turns": list(turns), **more}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"prompt": "x"}, "image_files is missing"),
        ({"prompt": 5, "image_files": ["a.png"]}, "prompt must be a text, not 5"),
        ({"prompt": " ", "image_files": ["a.png"]}, "prompt must be a text, not ' '"),
        ({"prompt": "x", "image_files": "a.png"}, "image_files must be a list, not 'a.png'"),
        ({"prompt": "x", "image_files": ["a.png", 5]}, "image_files[1] must be a text, not 5"),
        (
            {"prompt": "x", "image_files": ["a.png", "none.png"]},
            "image_files[1] 'none.png' does not exist or is no file",
        ),
        ({"prompt": "x", "image_files": ["a.png"], "metric": "bleu"}, "metric: unknown metric 'bleu': "),
        ({"prompt": "x", "image_files": ["a.png"], "id": ""}, "id must be a text or a whole number, not ''"),
        ({"conversations": []}, "conversations must be a list and not empty, not []"),
        ({"conversations": ["hi"]}, "conversations[0] must map names to values, not 'hi'"),
        ({"conversations": [{"from": "human"}]}, "conversations[0].value is missing"),
        ({"conversations": [{"value": "hi"}]}, "conversations[0].from is missing"),
        (talk(("tool", "hi")), "conversations[0].from must be one of system, human, user, gpt, assistant, not 'tool'"),
        (talk(("human", "hi"), ("gpt", "")), "conversations[1].value must be a text, not ''"),
        (talk(("human", "\ud800")), "conversations[0].value is not valid Unicode"),
        (
            talk(("gpt", "hi")),
            "conversations[0].from must be 'human': after an optional system text, human and gpt take turns",
        ),
        (
            talk(("system", "s"), ("human", "hi"), ("human", "ho")),
            "conversations[2].from must be 'gpt': after an optional system text, human and gpt take turns",
        ),
        (talk(("system", "s")), "conversations must have something that a human says"),
        (talk(("human", "hi"), image=5), "image must be a text or a list, not 5"),
        (talk(("human", "hi"), image=["a.png", ""]), "image[1] must be a text, not ''"),
        (talk(("human", "hi"), image="none.png"), "image 'none.png' does not exist or is no file"),
        (talk(("human", "hi"), image=["a.png", "none.png"]), "image[1] 'none.png' does not exist or is no file"),
        (talk(("human", "hi"), video="own.jsonl"), "video 'own.jsonl' is not a readable video (none of MP4, "),
        (
            talk(("human", "<image> and <image>"), image="a.png"),
            "image names 1 files, but <image> is said 2 times: they must agree",
        ),
        (talk(("human", "hi"), answer="x"), "answer is not read: in conversations, replies are the answers; remove it"),
        (
            session({"text": "hi"}, answers=["x"]),
            "answers is not read: in turns, nobody says what is right; remove it",
        ),
        (
            {"prompt": "x", "image_files": ["a.png"], "answer": "lion", "choices": ["cat"], "metric": "mmmu"},
            "answer 'lion' must be the letter of an option, or the whole text of one in choices",
        ),
        (talk(("human", "<video>")), "video names 0 files, but <video> is said 1 times: they must agree"),
        ({"turns": []}, "turns must be a list and not empty, not []"),
        (session("hi"), "turns[0] must map names to values, not 'hi'"),
        (session({"role": "system", "text": "s"}), "turns must have one of the user"),
        (session({"text": "hi"}, {"role": "system", "text": "s"}), "turns[1].role must be 'user', or 'system' in the"),
        (
            session({"role": "system", "text": "s", "image": "a.png"}, {"text": "hi"}),
            "turns[0].image is of the system: only turns of the user may hold media",
        ),
        (session({"text": "hi"}, {"delay": 5}), "turns[1] must have a text, an image or a video"),
        (session({"text": "hi", "texts": ["ho"]}), "turns[0].text and turns[0].texts are both given: keep one"),
        (session({"text": ["hi"]}), "turns[0].text must be a text, not ['hi']"),
        (session({"texts": "hi"}), "turns[0].texts must be a list, not 'hi'"),
        (session({"texts": ["hi", 5]}), "turns[0].texts[1] must be a text or a mapping, not 5"),
        (session({"texts": [{"name": "x"}]}), "turns[0].texts[0].contents is missing"),
        (session({"texts": [{"contents": ["hi", 5]}]}), "turns[0].texts[0].contents[1] must be a text, not 5"),
        (session({"text": "hi", "image": "none.png"}), "turns[0].image 'none.png' does not exist or is no file"),
        (
            session({"text": "hi", "images": [{"contents": ["a.png", "none.png"]}]}),
            "turns[0].images[0].contents[1] 'none.png' does not exist or is no file",
        ),
        (session({"text": "hi", "audio": "a.wav"}), "turns[0].audio is not supported: no model here takes it; remove"),
        (session({"text": "hi"}, session_id="first"), "id 'first' is taken by line 1"),
    ],
)
def test_a_mistake_is_told_with_line_and_field(opened: Open, line: Line, told: str) -> None:
    (form,) = (field for field in FORMS if field in line)
    right: dict[str, Line] = {
        "prompt": {"prompt": "x", "image_files": ["a.png"]},
        "conversations": talk(("human", "hi")),
        "turns": session({"text": "hi"}, session_id="first"),
        "text": {"text": "hi"},
    }
    assert mistake(opened, right[form], line).startswith(told)


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
def test_the_lines_of_a_file_have_one_form(opened: Open, first: str, second: str) -> None:
    lines: dict[str, Line] = {
        "messages": asks("?", id="m"),
        "conversations": talk(("human", "hi"), id="c"),
        "prompt": {"prompt": "x", "image_files": ["a.png"], "id": "p"},
        "turns": session({"text": "hi"}),
        "text": {"text": "hi", "id": "t"},
    }
    other: Sequence[Line] = [lines[first], {**lines[second], "id": "second", "session_id": "second"}]
    if first == second:
        assert len(opened(*other)) == 2
    else:
        told = f"{second} is given, but line 1 has {first}: all lines of a file have one form"
        assert mistake(opened, *other) == told


def beside(*texts: str, **fields: Any) -> Line:
    """A line whose media are named beside the messages."""
    roles = ("user", "assistant")
    said = [{"role": roles[index % 2], "content": words} for index, words in enumerate(texts)]
    return {"messages": said, **fields}


def test_media_beside_messages_stand_where_their_placeholders_are(opened: Open) -> None:
    several = beside("<image>What?", "That.", "<image>\nand <video>?", images=["a.png", "b.png"], videos=["loop.gif"])
    first, second, third = opened(
        several,
        beside("<image>Value", image="c.png", id="one"),
        asks({"type": "image"}, "And ", {"type": "image", "image": "b.png"}, images=["a.png"], id="trl"),
    )
    assert [content(turn) for turn in first.turns] == [
        ["image a.png", "What?"],
        ["image b.png", "and ", "video loop.gif", "?"],
    ]
    assert content(second.turns[0]) == ["image c.png", "Value"]
    assert content(third.turns[0]) == ["image a.png", "And ", "image b.png"]


def test_conversations_have_their_pictures_in_images_too(opened: Open) -> None:
    (one,) = opened(talk(("human", "<image>What?"), ("gpt", "That."), images=["a.png"]))
    assert content(one.turns[0]) == ["image a.png", "What?"]


def test_a_placeholder_in_a_text_with_pictures_in_parts_is_a_text(opened: Open) -> None:
    (one,) = opened(asks(part("image_url", "a.png"), "What is <video> in HTML?"))
    assert content(one.turns[0]) == ["image a.png", "What is <video> in HTML?"]


def test_single_turns_and_pools_of_aiperf_are_one_request_a_line(opened: Open) -> None:
    plain, several, pool, picture_alone = opened(
        {"text": "What?", "image": "a.png", "timestamp": 5, "answer": "A", "choices": ["x", "y"]},
        {"type": "single_turn", "texts": ["What", "now?"], "images": ["a.png", "b.png"], "video": "loop.gif"},
        {"type": "random_pool", "texts": [{"name": "t", "contents": ["Who?"]}], "images": [{"contents": ["c.png"]}]},
        {"type": "random_pool", "image": "c.png"},
    )
    assert content(plain.turns[0]) == ["What?", "image a.png"]
    assert (plain.turns[0].answer.accepted, plain.turns[0].answer.metric) == (("A",), "option-letter")
    assert content(several.turns[0]) == ["What", "now?", "image a.png", "image b.png", "video loop.gif"]
    assert not several.turns[0].answer.has_gold
    assert content(pool.turns[0]) == ["Who?", "image c.png"]
    assert content(picture_alone.turns[0]) == ["image c.png"]


def test_gold_answers_may_be_objects_of_which_one_member_counts(opened: Open) -> None:
    answers = [{"answer": word, "answer_confidence": "yes", "answer_id": number} for number, word in enumerate("aab")]
    (one,) = opened(asks("?", answers=answers, answer_member="answer", metric="vqa-accuracy"))
    assert one.turns[0].answer.accepted == ("a", "a", "b")
    for told, more in (
        ("answers[0] has members (answer, answer_confidence, answer_id): name the one that counts", {}),
        ("answers[0].answr must be a text, not None", {"answer_member": "answr"}),
        ("answers[0].answer_id must be a text, not 0", {"answer_member": "answer_id"}),
        ("answer_member must be a text, not 5", {"answer_member": 5}),
    ):
        assert mistake(opened, asks("?", answers=answers, **more)).startswith(told)


READ_NOWHERE = (
    "looks like media, and is not read there: put them into a field that is read (see docs/files.md), or remove"
)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (beside("<image>Value", images=[]), "image names 0 files, but <image> is said 1 times: they must agree"),
        (beside("<image>Value"), "image names 0 files, but <image> is said 1 times: they must agree"),
        (beside("Value", images=["a.png"]), "image names 1 files, but <image> is said 0 times: they must agree"),
        (beside("<image><image>", images=["a.png"]), "image names 1 files, but <image> is said 2 times"),
        (beside("<video>", images=["a.png"]), "image names 1 files, but <image> is said 0 times"),
        (beside("<image>", images="none.png"), "images 'none.png' does not exist or is no file"),
        (beside("<image>", images=["a.png"], image="a.png"), "image and images are both given: keep one"),
        (beside("<image>", images=[{"path": "a.png"}]), "images[0] must be a text, not {'path': 'a.png'}"),
        (beside("<image>", "<image>", "?", images=["a.png"]), "messages of the user alone may hold media"),
        (asks("?", {"type": "image"}), "image names 0 files, but <image> is said 1 times"),
        (asks({"type": "text", "text": "?", "image_url": {"url": "a.png"}}), "messages[0].content[0].image_url looks"),
        (asks({"type": "text", "text": "?", "image": "a.png"}), "messages[0].content[0].image looks like media"),
        ({"messages": [{"role": "user", "content": "?", "images": ["iVBORw0KGgo="]}]}, "messages[0].images looks like"),
        (beside("?", image_path="a.png"), f"image_path {READ_NOWHERE}"),
        (beside("?", image_urls=["https://x.org/a"]), f"image_urls {READ_NOWHERE}"),
        (beside("?", imagePath="p"), "imagePath looks like media"),
        (beside("?", pictures=["17"]), "pictures looks like media"),
        (beside("?", audios=["a.wav"]), "audios looks like media"),
        (beside("?", file="scans/a.TIFF"), "file looks like media"),
        (beside("?", extra={"img": "a"}), "extra looks like media"),
        (beside("?", page="data:image/png;base64,AAAA"), "page looks like media"),
        (beside("?", multi_modal_data={"image": "x"}), "multi_modal_data looks like media"),
        (talk(("human", "?"), picture="a.png"), "picture looks like media"),
        ({"conversations": [{**says("human", "?"), "image": "a.png"}]}, "conversations[0].image looks like media"),
        ({"prompt": "?", "image_files": ["a.png"], "images": ["b.png"]}, "images looks like media"),
        (session({"text": "?", "image_file": "a.png"}), "turns[0].image_file looks like media"),
        (session({"text": "?"}, image="a.png"), "image looks like media"),
        (session({"text": "<image>?"}), "turns[0].text says where an <image> or <video> stands, and there is none"),
        ({"text": "<image>?"}, "text says where an <image> or <video> stands, and there is none"),
        ({"text": "?", "image_url": "a.png"}, "image_url looks like media"),
        ({"text": "?", "audio": "a.wav"}, "audio is not supported: no model here takes it; remove it"),
        ({"text": "?", "role": "system"}, "role must be 'user', or 'system' in the first turn"),
        ({"text": "?", "texts": ["?"]}, "text and texts are both given: keep one"),
        ({"type": "random_pool"}, "it must have a text, an image or a video"),
    ],
)
def test_a_picture_that_would_not_be_shown_is_told(opened: Open, line: Line, told: str) -> None:
    assert mistake(opened, line).startswith(told)


INLINE = base64.b64encode(picture("a.png")).decode()
PLACES = "and there are {}: put them into a field that is read (see docs/files.md)"
WITHIN = "names media within a text, {}, where they are not read: put them into a field that is read"


@pytest.mark.parametrize(
    "field", ["image_1", "image_0", "image1", "img1", "image_1_path", "image_path_2", "Image-3", "frame_12"]
)
@pytest.mark.parametrize("value", ["pics/7", INLINE, {"bytes": INLINE, "path": None}, {"path": "pics/7"}, ["x"]])
def test_numbered_fields_of_media_are_told(opened: Open, field: str, value: object) -> None:
    for line in ({"text": "?"}, {"prompt": "?", "image_files": ["b.png"]}, beside("?")):
        assert mistake(opened, line | {field: value}) == f"{field} {READ_NOWHERE} it"


@pytest.mark.parametrize(
    "value",
    [
        INLINE,
        {"bytes": INLINE},
        [INLINE],
        "scans/a.jp2",
        "a.ppm",
        "a.heif",
        "a.ico",
        "/9j/" + "A" * 60,
        "UklGR" + "A" * 60,
    ],
)
def test_media_in_a_field_of_any_name_are_told(opened: Open, value: object) -> None:
    assert mistake(opened, {"text": "?", "x": value}) == f"x {READ_NOWHERE} it"
    part = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": value}}
    assert mistake(opened, asks(part, "?")).startswith("messages[0].content[0].source looks like media")


PLACEHOLDERS = (
    "<|image_1|>", "<image 1>", "<image1>", "<image_1>", "<image-2>", "<image_placeholder>", "<IMAGE>", "<ImageHere>",
    "<|image|>", "<|image_pad|>", "<|vision_start|><|image_pad|><|vision_end|>",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACEHOLDERS)
def test_a_placeholder_of_any_model_needs_a_picture(opened: Open, place: str) -> None:
    for field, line in (
        ("text", {"text": f"{place}?"}),
        ("messages", beside(f"{place}\n?")),
        ("conversations", talk(("human", f"{place}?"), ("gpt", "x"))),
        ("turns", session({"text": f"{place}?"})),
    ):
        told = mistake(opened, line)
        assert told.startswith(f"{field} keeps 1 places for images, such as '<")
        assert told.endswith(PLACES.format(0))
    (shown,) = opened({"text": f"{place}?", "image": "a.png"})
    assert content(shown.turns[0]) == [f"{place}?", "image a.png"]
    assert mistake(opened, {"text": f"{place} and <image 9>?", "image": "a.png"}).endswith(PLACES.format(1))
    assert mistake(opened, {"prompt": f"{place} and <image 9>?", "image_files": ["a.png"]}).endswith(PLACES.format(1))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Picture 1: <img>a.png</img>\n?", "<img>a.png</img>"),
        ("Picture 1: <img>none.png</img>\n?", "<img>none.png</img>"),
        ("<img src='a.png'> ?", "<img src='a.png"),
        ('<img width="5" src=a.png> ?', '<img width="5" src=a.png'),
        ("![](a.png) ?", "![](a.png)"),
        ("? ![a page](file://a.png 'title')", "![a page](file://a.png 'title')"),
        (f"![](data:image/png;base64,{INLINE[:8]})?", f"![](data:image/png;base64,{INLINE[:8]})"),
        (f"data:image/png;base64,{INLINE[:20]}", f"data:image/png;base64,{INLINE[:20]}"),
        (INLINE[:60], INLINE[:60]),
    ],
)
def test_media_within_a_text_are_told(opened: Open, text: str, shown: str) -> None:
    for field, line in (
        ("text", {"text": text}),
        ("messages", asks("?", text)),
        ("conversations", talk(("human", text), ("gpt", "x"))),
        ("prompt", {"prompt": text, "image_files": ["b.png"]}),
    ):
        assert mistake(opened, line).startswith(f"{field} {WITHIN.format(quoted(shown))}")


@pytest.mark.parametrize(
    "question",
    [
        "What does <img src='logo.png'> do in HTML?",
        "How do I write ![alt](picture.png) in Markdown?",
        "Is <img> or <picture> right? And the <audio> tag, <images>, <image-set>?",
        "What is in data:image/png;base64,AAAA and what in it is a header?",
        "An image of a.png and <b>image 1</b>, image 2, [image 3].",
        "a <b and b> c, video 1 <clip> img",
    ],
)
def test_a_question_about_html_or_markdown_stays_one(opened: Open, question: str) -> None:
    (one,) = opened({"text": question})
    assert content(one.turns[0]) == [question]


def test_prompts_and_single_turns_keep_places_for_their_media(opened: Open) -> None:
    prompt, turn, several = opened(
        {"prompt": "Is <image> like <image>?", "image_files": ["a.png", "b.png"]},
        {"prompt": "<image>\n?", "image_files": ["a.png"]},
        {"prompt": "?", "image_files": ["c.png"]},
    )
    assert content(prompt.turns[0]) == ["Is ", "image a.png", " like ", "image b.png", "?"]
    assert content(turn.turns[0]) == ["image a.png", "?"]
    assert content(several.turns[0]) == ["?", "image c.png"]
    (one,) = opened({"texts": ["<image>?", "<video>"], "image": "a.png", "video": "loop.gif"})
    assert content(one.turns[0]) == ["image a.png", "?", "video loop.gif"]
    for line in ({"prompt": "<image><image>", "image_files": ["a.png"]}, {"text": "<image><image>", "image": "a.png"}):
        assert mistake(opened, line) == "image names 1 files, but <image> is said 2 times: they must agree"


def test_fields_about_media_are_no_media(opened: Open) -> None:
    about = {
        "image_id": 17, "image_size": [640, 480], "image_width": 640, "caption": "An image of a.png and b.png.",
        "video_duration": 5.5, "frames": [0, 8], "category": "image", "source": "a.png", "file_name": "scans/a.png",
        "images": None, "license": "https://example.org/by.pdf",
        "objects": {"ref": ["cat"], "bbox": [[1, 2, 3, 4]]}, "has_image": True, "audios": [],
    }  # fmt: skip
    (one,) = opened(asks(part("image_url", "a.png"), "?", **about))
    assert content(one.turns[0]) == ["image a.png", "?"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_are_no_files(opened: Open, folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "zero.png").symlink_to("/dev/zero")
    assert mistake(opened, asks(part("image_url", "pipe.png"))).endswith("'pipe.png' does not exist or is no file")
    assert mistake(opened, asks(part("image_url", "zero.png"))).endswith("leads out of the folder of the requests")
    for path, told in ((folder / "pipe.jsonl", "it is a named pipe"), (Path("/dev/zero"), "it is a device")):
        with pytest.raises(UsageError, match=told):
            open_jsonl(path)


def test_lines_and_values_are_bounded(opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mistake(opened, asks("?", extra=[0] * 200_001)).startswith("must have fewer than 200000 values")
    monkeypatch.setattr("workloads.files.jsonl.MOST_LINES", 2)
    with pytest.raises(UsageError, match="has more than 2 lines: split it"):
        opened(*[asks("?", id=str(number)) for number in range(3)])
    large = folder / "large.jsonl"
    large.touch()
    os.truncate(large, 1 << 36)
    with pytest.raises(UsageError, match="line 1: is longer than 64 MiB"):
        open_jsonl(large)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["a.png", "\x1b[31m\a", "\ud800", "data:image/png;base64,AAAA", 10**4000, "<image>", "text"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(data=st.data(), form=st.sampled_from(sorted(FORMS)))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_value_in_any_field_is_read_or_told_in_one_line(data: st.DataObject, form: str, folder: Path) -> None:
    line: dict[str, Any] = {
        "messages": asks("?", part("image_url", "a.png")),
        "conversations": talk(("human", "<image>?"), ("gpt", "x"), image="a.png"),
        "prompt": {"prompt": "?", "image_files": ["a.png"]},
        "turns": session({"text": "?", "image": "a.png"}),
        "text": {"text": "?", "image": "a.png"},
    }[form]
    place: Any = line
    changed = False
    while not changed and place and isinstance(place, dict | list):
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        changed = not isinstance(place[key], dict | list) or data.draw(st.booleans())
        if changed and isinstance(place, dict) and data.draw(st.booleans()):
            key = data.draw(st.sampled_from(NAMES))
        if changed:
            place[key] = data.draw(JSON)
        place = place[key]
    path = folder / "any.jsonl"
    path.write_text(json.dumps(line) + "\n")
    told = ""
    try:
        assert all(conversation.turns for conversation in open_jsonl(path).conversations(StreamOptions(10)))
    except UsageError as error:
        told = str(error)
    assert told.isprintable()
    assert len(told) < len(str(path)) + 700
