"""The user's own requests: what a file says is what is asked, and every mistake is one line that names its place."""

from __future__ import annotations

import base64
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workloads.base import StreamOptions
from workloads.datasets.recurring_stream import MEANING
from workloads.datasets.sources import Sources
from workloads.errors import UsageError
from workloads.files import attachments, jsonl
from workloads.files.jsonl import JsonlWorkload, open_jsonl
from workloads.fingerprint import fingerprint
from workloads.media import pictures
from workloads.records import Conversation, Media, Popularity, Recur, Turn
from workloads.registry import open_workload, open_workloads
from workloads.scoring import judge

Line = dict[str, Any]
ALL = StreamOptions(samples=1000)


def encoded(colour: int = 0, format: str = "PNG", size: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), (colour, 0, 0)).save(file, format)
    return file.getvalue()


def header_only(width: int, height: int) -> bytes:
    """The start of a PNG file that promises this many pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\0IDAT"


def inline(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def user(*content: Any) -> Line:
    return {"role": "user", "content": content[0] if len(content) == 1 else list(content)}


def says(role: str, text: str) -> Line:
    return {"role": role, "content": text}


def text(words: str) -> Line:
    return {"type": "text", "text": words}


def image(url: str) -> Line:
    return {"type": "image_url", "image_url": {"url": url}}


def asks(*messages: Line, **more: Any) -> Line:
    return {"messages": list(messages or [says("user", "?")]), "answer": "yes", **more}


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes lines, as JSON unless they are bytes, to a file in a folder with ``a.png``, ``b.jpg`` and damaged ones."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded(1))
    (folder / "b.jpg").write_bytes(encoded(2, "JPEG"))
    (folder / "torn.png").write_bytes(encoded(3, size=64)[:-30])
    (folder / "torn.jpg").write_bytes(encoded(3, "JPEG", 64)[:-30])
    (folder / "words.png").write_text("no picture")
    (folder / "wide.png").write_bytes(header_only(11_000, 10_000))
    (folder / "bomb.png").write_bytes(header_only(60_000, 60_000))
    (tmp_path / "outside.png").write_bytes(encoded(4))

    def write(*lines: Any) -> Path:
        path = folder / "own.jsonl"
        path.write_bytes(b"".join(x + b"\n" if isinstance(x, bytes) else json.dumps(x).encode() + b"\n" for x in lines))
        return path

    return write


def conversations(path: Path, options: StreamOptions = ALL) -> list[Conversation]:
    return list(open_jsonl(path).conversations(options))


def turns(path: Path) -> list[Turn]:
    return [turn for conversation in conversations(path) for turn in conversation.turns]


def test_a_line_is_a_request(write: Write) -> None:
    question = user(text("Look:"), image("a.png"), image("b.jpg"), text("Which?"))
    (talk,) = conversations(write(asks(says("system", "Be brief."), question, id="q", answers=["A", "B"], answer=None)))
    (turn,) = talk.turns
    assert (talk.id, talk.system, turn.id, turn.answer.accepted) == ("q", "Be brief.", "q", ("A", "B"))
    look, first, second, which = turn.content
    assert (look, which) == ("Look:", "Which?")
    assert first == Media("image", encoded(1), "a.png")
    assert second == Media("image", encoded(2, "JPEG"), "b.jpg")
    assert judge("B", turn.answer).score == 1


def test_a_file_fulfils_the_contract(write: Write) -> None:
    workload = open_workload(str(write(asks())))
    assert isinstance(workload, JsonlWorkload)
    assert workload.name == "own.jsonl"
    (talk,) = workload.conversations(ALL)
    assert talk.turns[0].answer.metric == "exact-match"


def test_history_is_earlier_requests_with_the_assistants_answers(write: Write) -> None:
    talk = (user(image("a.png"), text("1?")), says("assistant", "one"), says("user", "2?"))
    parts = {"role": "system", "content": [text("a"), text("b")]}
    (conversation,) = conversations(write(asks(parts, *talk, id=7)))
    assert [(turn.id, turn.answer.accepted) for turn in conversation.turns] == [("7.0", ("one",)), ("7", ("yes",))]
    assert [(m.role, m.content[-1]) for m in conversation.prompt(1)] == [
        ("system", "ab"),
        ("user", "1?"),
        ("assistant", "one"),
        ("user", "2?"),
    ]


@pytest.mark.parametrize("samples", range(6))
def test_samples_count_turns_from_the_start(write: Write, samples: int) -> None:
    long = asks(says("user", "1"), says("assistant", "x"), says("user", "2"))
    path = write(asks(), long, asks())
    whole = turns(path)
    few = conversations(path, StreamOptions(samples))
    assert [turn for talk in few for turn in talk.turns] == whole[:samples]
    assert all(talk.turns for talk in few)


def test_lines_are_read_as_far_as_is_asked(write: Write) -> None:
    path = write(asks(says("user", "1"), says("assistant", "x"), says("user", "2")), asks(), asks(user([image("no")])))
    assert len(conversations(path, StreamOptions(3))) == 2
    with pytest.raises(UsageError, match="line 3: "):
        conversations(path, StreamOptions(4))


def test_nothing_is_drawn(write: Write) -> None:
    workload = open_jsonl(write(*(asks(says("user", str(number))) for number in range(9))))
    other = StreamOptions(1000, seed=5, reuse_rate=0.0, split="train")
    assert fingerprint(workload.conversations(ALL)) == fingerprint(workload.conversations(other))


def test_one_picture_is_one_medium_whatever_it_is_called(write: Write) -> None:
    path = write(*(asks(user([image(url)])) for url in ("a.png", "./a.png", inline(encoded(1)), "b.jpg")))
    first, second, third, other = (turn.media[0] for turn in turns(path))
    assert first is second is third
    assert other.data != first.data


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_pictures_are_sent_as_they_are(write: Write, format: str) -> None:
    (turn,) = turns(write(asks(user([image(inline(encoded(9, format)))]))))
    assert turn.media[0].data == encoded(9, format)
    assert turn.media[0].name.startswith("inline-")


def test_requests_that_share_a_session_or_a_picture_are_resampled_together(write: Write) -> None:
    path = write(
        asks(user(image("a.png"), text("1"))),
        asks(user(text("2"), image("a.png"), image("b.jpg"))),
        asks(user([image("b.jpg")])),
        asks(user([image("b.jpg")]), session_id="s"),
        asks(session_id="s"),
        asks(),
        asks(id="s"),
    )
    one, two, other, session, same_session, alone, named = (talk.cluster_id for talk in conversations(path))
    assert one == two
    assert session == same_session == "session/s"
    assert (alone, named) == ("request/line-6", "request/s")
    assert len({one, other, session, alone, named}) == 5


def test_blank_lines_and_a_byte_order_mark_are_nothing(write: Write) -> None:
    path = write(b"\xef\xbb\xbf" + json.dumps(asks()).encode(), b"", b"  \r", asks(category=["a"]))
    assert [turn.id for turn in turns(path)] == ["line-1", "line-4"]


@given(
    words=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=4, max_size=4),
    ascii=st.booleans(),
)
def test_texts_come_back_as_they_were(words: list[str], ascii: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    system, question, reply, last = words
    talk = [says("system", system), user([text(question)]), says("assistant", f"{reply}!"), says("user", last)]
    path = tmp_path_factory.mktemp("texts") / "own.jsonl"
    path.write_text(json.dumps(asks(*talk, answer=f"{last}."), ensure_ascii=ascii) + "\n", "utf-8", newline="")
    (conversation,) = conversations(path)
    first, second = conversation.turns
    assert (conversation.system, first.content, second.content) == (system, (question,), (last,))
    assert (first.answer.accepted, second.answer.accepted) == ((f"{reply}!",), (f"{last}.",))


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        (b"{nope}", "is not valid JSON: Expecting property name enclosed in double quotes, column 2"),
        (
            b'{"answer": "\xff"}',
            "is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 12: invalid start byte",
        ),
        (b'{"id": ' + b"9" * 6000 + b"}", "is not valid JSON: Exceeds the limit (4300 digits) for integer string"),
        (b"[" * 100_000, "is not valid JSON: lists and mappings are nested too deeply"),
        ([], "must be a JSON object"),
        ({"answer": "x"}, "must have one of the fields messages, conversations, prompt, turns or text"),
        (asks(prompt="x"), "messages and prompt are both given: keep one"),
        ({"turns": [{"text": "hi"}]}, "turns is given, but line 1 has messages: all lines of a file have one form"),
        ({"messages": "hi", "answer": "x"}, "messages must be a list, not 'hi'"),
        ({"messages": [], "answer": "x"}, "messages must be a list and not empty, not []"),
        ({"messages": ["hi"], "answer": "x"}, "messages[0] must map names to values, not 'hi'"),
        (asks({"content": "hi"}), "messages[0].role is missing"),
        (asks(says("tool", "hi")), "messages[0].role must be one of system, user, assistant, not 'tool'"),
        (asks({"role": "user"}), "messages[0].content is missing"),
        (asks(user(5)), "messages[0].content must be a text or a list, not 5"),
        (asks(user([])), "messages[0].content is empty"),
        (asks(user("")), "messages[0].content is empty"),
        (asks(user("\ud800")), "messages[0].content is not valid Unicode"),
        (asks(user(["hi"])), "messages[0].content[0] must map names to values, not 'hi'"),
        (asks(user([{"type": "text"}])), "messages[0].content[0].text is missing"),
        (asks(user([{"type": "text", "text": 5}])), "messages[0].content[0].text must be a text, not 5"),
        (asks(user([{"text": "hi"}])), "messages[0].content[0].type is missing"),
        (
            asks(user(text("hi"), {"type": "video_url", "video_url": {"url": "a.mp4"}})),
            "messages[0].content[1].video_url.url 'a.mp4' does not exist or is no file",
        ),
        (
            asks(user([{"type": "input_audio"}])),
            "messages[0].content[0].type must be one of text, image_url, video_url, image, video, not 'input_audio'",
        ),
        (
            asks({"role": "system", "content": [image("a.png")]}, user("hi")),
            "messages[0].content[0] is of type image_url in a message of the system: only user messages may hold media",
        ),
        (
            asks(user("hi"), {"role": "assistant", "content": [image("a.png")]}, user("hi")),
            "messages[1].content[0] is of type image_url in a message of the assistant: only user messages may hold",
        ),
        (
            asks(user("hi"), user("there")),
            "messages[1].role must be 'assistant', not 'user': "
            "after an optional system message, user and assistant take turns",
        ),
        (
            asks(user("hi"), says("system", "there")),
            "messages[1].role must be 'assistant', not 'system': "
            "after an optional system message, user and assistant take turns",
        ),
        (
            asks(user("hi"), says("assistant", "there")),
            "messages must end with a user message; the answer to it goes into the field answer",
        ),
        (
            asks(says("system", "hi")),
            "messages must end with a user message; the answer to it goes into the field answer",
        ),
        (asks(answers=["x"]), "answer and answers are both given: keep one"),
        (asks(answer=5), 'answer must be a text, not 5: write "5"'),
        (asks(answer=True), 'answer must be a text, not True: write "true"'),
        (asks(answer=["a", "b"]), "answer must be a text, not ['a', 'b']: write the accepted texts as \"answers\""),
        (asks(answer=" "), "answer must be a text, not ' '"),
        (asks(answer="\udfff"), "answer is not valid Unicode"),
        (asks(answer=None, answers="x"), "answers must be a list, not 'x'"),
        (asks(answer=None, answers=[]), "answers must be a list and not empty, not []"),
        (asks(answer=None, answers=["x", 5]), 'answers[1] must be a text, not 5: write "5"'),
        (asks(id=1.5), "id must be a text or a whole number, not 1.5"),
        (asks(id=""), "id must be a text or a whole number"),
        (asks(session_id=True), "session_id must be a text or a whole number"),
        (asks(id="first"), "id 'first' is taken by line 1"),
        (asks(choices="yes"), "choices must be a list, not 'yes'"),
        (asks(choices=["yes", ""]), "choices[1] must be a text, not ''"),
        (asks(choices=["x"] * 27), "choices must be at most 26, one for each letter"),
        (
            asks(choices=["no", "perhaps"]),
            "answer 'yes' must be the letter of an option, or the whole text of one in choices",
        ),
        (
            asks(metric="option-letter"),
            "answer 'yes' must be the letter of an option, or the whole text of one in choices",
        ),
        (asks(metric="anlz"), "metric: unknown metric 'anlz': did you mean 'anls'?"),
        (asks(metric=["anls"]), "metric must be a text, not ['anls']"),
        (asks(user([{"type": "image_url"}])), "messages[0].content[0].image_url is missing"),
        (
            asks(user([{"type": "image_url", "image_url": "a.png"}])),
            "messages[0].content[0].image_url must map names to values, not 'a.png'",
        ),
        (asks(user([{"type": "image_url", "image_url": {}}])), "messages[0].content[0].image_url.url is missing"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_field(write: Write, line: Any, mistake: str) -> None:
    path = write(asks(id="first"), b"", line)
    with pytest.raises(UsageError) as caught:
        conversations(path)
    assert str(caught.value).startswith(f"{path}, line 3: {mistake}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "mistake"),
    [
        ("none.png", "'none.png' does not exist or is no file"),
        ("", "'' does not exist or is no file"),
        ("n" * 300, f"'{'n' * 100}...' cannot be read (File name too long)"),
        ("a\0.png", r"'a\x00.png' holds a null character"),
        ("words.png", "'words.png' is not a readable picture (none of PNG, JPEG, WEBP, GIF, BMP, TIFF)"),
        ("torn.png", "'torn.png' is not a readable picture ("),
        ("torn.jpg", "'torn.jpg' is not a readable picture (image file is truncated"),
        ("wide.png", "'wide.png' has more than the 100 million pixels that are decoded; scale it down"),
        ("bomb.png", "'bomb.png' has more than the 100 million pixels that are decoded; scale it down"),
        ("../outside.png", "'../outside.png' leads out of the folder of the requests"),
        ("file://%2e%2e/outside.png", "'file://%2e%2e/outside.png' leads out of the folder of the requests"),
        ("link.png", "'link.png' leads out of the folder of the requests"),
        ("circle.png", "'circle.png' cannot be read (symbolic links in a circle)"),
        (
            "https://example.org/a.png",
            "'https://example.org/a.png' is not read: nothing is downloaded, save the file beside the requests",
        ),
        ("data:video/mp4;base64,AAAA", "must be a path or start with 'data:image/...;base64,'"),
        ("data:image/png;base64,AAA", "is not valid base64 (Incorrect padding)"),
        ("data:image/png;base64,A*AA", "is not valid base64 ("),
        ("data:image/png;base64,ä", "is not valid base64 ("),
        ("data:image/png;base64,", "is not a readable picture (none of PNG, JPEG, WEBP, GIF, BMP, TIFF)"),
        (inline(encoded(3, size=64)[:-30]), "is not a readable picture ("),
    ],
)
def test_a_picture_that_cannot_be_used_is_told(write: Write, url: str, mistake: str) -> None:
    path = write(asks(user(text("Look:"), image(url))))
    (path.parent / "link.png").symlink_to(path.parent.parent / "outside.png")
    (path.parent / "circle.png").symlink_to("circle.png")
    with pytest.raises(UsageError) as caught:
        conversations(path)
    assert str(caught.value).startswith(f"{path}, line 1: messages[0].content[1].image_url.url {mistake}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 300


def test_a_link_inside_the_folder_is_followed(write: Write) -> None:
    path = write(asks(user(image("sub/link.png"), image("a.png"))))
    (path.parent / "sub").mkdir()
    (path.parent / "sub" / "link.png").symlink_to(Path("..", "a.png"))
    first, second = turns(path)[0].media
    assert first is second


def test_a_file_url_is_a_path_with_escapes(write: Write) -> None:
    path = write()
    (path.parent / "a b%.png").write_bytes(encoded(1))
    absolute = f"file://{path.parent}/a%20b%25.png"
    path.write_text(json.dumps(asks(user(image("a b%.png"), image("file://a%20b%25.png"), image(absolute)))))
    assert [medium.data for medium in turns(path)[0].media] == [encoded(1)] * 3


def test_a_picture_is_decoded_once(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    monkeypatch.setattr(attachments, "decode", lambda data: decoded.append(len(data)))
    assert len(turns(write(*[asks(user([image("a.png")]))] * 3))) == 3
    assert len(decoded) == 1


def test_what_is_read_has_a_bound(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(asks(), asks(user([image("a.png")])))
    os.truncate(path.parent / "a.png", attachments.MOST_BYTES["image"] + 1)
    with pytest.raises(UsageError, match=r"line 2: .*'a\.png' is larger than 64 MiB"):
        conversations(path)
    monkeypatch.setattr(jsonl, "LONGEST_LINE", len(json.dumps(asks())) + 1)
    with pytest.raises(UsageError, match="line 2: is longer than 0 MiB; keep pictures in files of their own"):
        conversations(path)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_requests_is_refused(write: Write, content: bytes) -> None:
    path = write()
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        conversations(path)
    assert str(caught.value) == f"{path} is empty: it needs one JSON object per line, with messages and answer"


def test_files_and_names_are_opened_side_by_side(write: Write, tmp_path: Path) -> None:
    path = write(asks())
    assert [workload.name for workload in open_workloads(["binding", str(path)])] == ["binding", "own.jsonl"]
    twin = tmp_path / "own.jsonl"
    twin.write_bytes(path.read_bytes())
    for names, mistake in (
        ([str(path), str(twin)], f"workload '{twin}': another file of this run is called own.jsonl; rename one"),
        (["none.jsonl"], "cannot read none.jsonl: No such file or directory"),
        (["bindng"], "unknown workload 'bindng': did you mean 'binding'?"),
    ):
        with pytest.raises(UsageError) as caught:
            open_workloads(names)
        assert str(caught.value) == mistake


@pytest.mark.parametrize("recur", ["prefix", "questions", "shuffle"])
@pytest.mark.parametrize("popularity", ["even", "zipf"])
def test_media_of_a_file_come_back_if_they_are_told_to(write: Write, recur: Recur, popularity: Popularity) -> None:
    lines = [asks(says("system", "Be brief."), user(image(name), text(f"{name}?"))) for name in ("a.png", "b.jpg")]
    workload = open_workload(str(write(*lines, *lines)), Sources(recur=recur))
    assert workload.defaults.recurrence == MEANING[recur]
    assert (workload.defaults.max_new_tokens, workload.defaults.reuse_rate) == (64, 0.5)
    asked = list(workload.conversations(StreamOptions(20, reuse_rate=0.5, popularity=popularity)))
    assert len({turn.id for talk in asked for turn in talk.turns}) == 20
    assert {talk.system for talk in asked} == {"Be brief."}
    assert len({talk.cluster_id for talk in asked}) == 2
    assert asked[:8] == list(workload.conversations(StreamOptions(8, reuse_rate=0.5, popularity=popularity)))
    (first,), *others = ([t.content for t in talk.turns] for talk in asked)
    assert first[1] == "a.png?"
    assert len({content[0][0] for content in others if isinstance(content[0][0], str)}) > 8, "openings are new"
    assert all(turn.answer.gold == "yes" for talk in asked for turn in talk.turns)


def test_media_of_a_file_are_as_they_are_if_nothing_is_told(write: Write) -> None:
    path = write(asks(user(image("a.png"), text("?"))))
    for recur in (None, "none"):
        workload = open_workload(str(path), Sources(recur=recur))
        assert [turn.id for talk in workload.conversations(ALL) for turn in talk.turns] == ["line-1"]
    assert open_workload(str(path)).defaults.recurrence == "as in the file"


def test_an_id_like_that_of_a_repeat_is_refused_where_there_are_some(write: Write) -> None:
    path = write(asks(id="x-again-1"))
    assert [talk.id for talk in conversations(path)] == ["x-again-1"]
    with pytest.raises(UsageError, match="the id 'x-again-1' is that of a repeat; rename it to use --recur"):
        list(open_jsonl(path, "prefix").conversations(ALL))
