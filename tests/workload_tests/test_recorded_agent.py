"""Recorded sessions of agents: the window is filled from earlier records, and strange files are told in one line."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workloads.agents.recording import PLACEHOLDER
from workloads.base import StreamOptions
from workloads.datasets.sources import Sources
from workloads.errors import UsageError
from workloads.records import Conversation, Media, media_in
from workloads.registry import open_workload
from workloads.synthetic.drawing import Grid, Page, encode_png

Lines = list[dict[str, Any]]
STEPS = 6


def screen(session: str, step: int) -> bytes:
    return encode_png(Page(Grid(2, 2), {(0, 0): session, (1, step % 2): str(step % 10)}))


def shot(session: str, step: int) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64.b64encode(screen(session, step)).decode()}"
    return {"type": "image_url", "image_url": {"url": url}, "uuid": f"{session}{step}"}


def record(session: str, step: int, **more: Any) -> dict[str, Any]:
    """A request as the data set has it: the text of all steps, and the screenshot of the last one alone."""
    messages: Lines = [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": "Fill the form."},
    ]
    for earlier in range(step):
        messages.append(
            {"role": "tool", "content": [{"type": "text", "text": f"{earlier} \n\n{PLACEHOLDER}\n\n done"}]}
        )
        called = {"id": "x", "type": "function", "function": {"name": "click", "arguments": f'{{"at": {earlier}}}'}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [called]})
    messages.append({"role": "tool", "content": [{"type": "text", "text": "now"}, shot(session, step)]})
    tools = [{"type": "function", "function": {"name": "click"}}]
    delay = None if step == 0 else 500 + step
    own = {"session_id": session, "messages": messages, "tools": tools, "output_length": 10 + step, "delay": delay}
    return {**own, "extra": {"tool_choice": "auto"}, **more}


def both() -> Lines:
    return [record(session, step) for session in "ab" for step in range(STEPS)]


Write = Callable[[Lines], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(lines: Lines) -> Path:
        (tmp_path / "h_cua.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return tmp_path

    return write


def read(folder: Path, name: str = "h-cua-perf", samples: int = 100) -> list[Conversation]:
    return list(open_workload(name, Sources(folder)).conversations(StreamOptions(samples)))


def shown(conversation: Conversation) -> list[bytes]:
    return [medium.data for medium in media_in(conversation.prompt(0))]


@pytest.mark.parametrize("window", [1, 3, 5])
def test_a_window_of_screenshots_slides_on(write: Write, window: int) -> None:
    requests = read(write(both()), f"h-cua-perf@window={window}")
    assert [request.id for request in requests] == [f"{session}/{step}" for session in "ab" for step in range(STEPS)]
    for request in requests:
        session, step = request.id.split("/")
        last = int(step)
        assert shown(request) == [screen(session, n) for n in range(max(0, last - window + 1), last + 1)]
        assert request.cluster_id == f"session/{session}"
        omitted = sum(part.count(PLACEHOLDER) for m in request.prompt(0) for part in m.content if isinstance(part, str))
        assert omitted == max(0, last + 1 - window)


def test_a_request_keeps_the_text_the_tools_and_the_pace(write: Write) -> None:
    request = read(write(both()))[2]
    system, first, said, second, said_again, last = request.prompt(0)
    assert system.role == "system"
    assert system.content == ('You are an agent.\n\n# Tools\n\n[{"type": "function", "function": {"name": "click"}}]',)
    assert [m.role for m in (first, said, second, said_again, last)] == ["user", "assistant"] * 2 + ["user"]
    assert first.content[:3] == ("Fill the form.", "\n", "0 \n\n")
    assert isinstance(first.content[3], Media)
    assert first.content[4] == "\n\n done"
    assert said.content == ('\n<tool_call>\n{"name": "click", "arguments": "{\\"at\\": 0}"}\n</tool_call>',)
    assert last.content[0] == "now"
    (turn,) = request.turns
    assert not turn.answer.has_gold
    assert (turn.think_s, turn.output_tokens, turn.arrival_s) == (0.502, 12, None)
    assert read(write(both()))[0].turns[0].think_s is None


def test_screenshots_are_files_of_the_folder_or_named_again(write: Write) -> None:
    lines = both()[:2]
    folder = write([])
    (folder / "shots").mkdir()
    (folder / "shots" / "0.png").write_bytes(screen("a", 0))
    lines[0]["messages"][-1]["content"][1] = {"type": "image_url", "uuid": "u", "image_url": {"url": "shots/0.png"}}
    lines[1]["messages"][2]["content"] = [{"type": "image_url", "uuid": "u"}]
    requests = read(write(lines))
    assert [shown(request) for request in requests] == [[screen("a", 0)], [screen("a", 0), screen("a", 1)]]


def test_a_history_that_begins_anew_brings_no_old_screenshot_back(write: Write) -> None:
    lines = [record("a", 0), record("a", 1), record("a", 2), record("a", 0), record("a", 1)]
    lines[3]["messages"][-1]["content"][1] = shot("z", 7)
    requests = read(write(lines), "h-cua-perf@window=5")
    assert shown(requests[3]) == [screen("z", 7)]
    assert shown(requests[4]) == [screen("z", 7), screen("a", 1)]


def test_only_what_is_asked_for_is_read(write: Write) -> None:
    lines = both()
    folder = write(lines[:2])
    with (folder / "h_cua.jsonl").open("a") as file:
        file.write("no JSON\n")
    assert len(read(folder, samples=2)) == 2
    few = read(write(lines), "h-cua-perf@steps=2")
    assert [request.id for request in few] == ["a/0", "a/1", "b/0", "b/1"]


def spoilt(**changes: Any) -> Lines:
    return [record("a", 0, **changes)]


def content(*parts: dict[str, Any], role: str = "user") -> Lines:
    return spoilt(messages=[{"role": role, "content": list(parts)}])


@pytest.mark.parametrize(
    ("lines", "mistake"),
    [
        (spoilt(messages=[]), "messages must be a list and not empty, not []"),
        (spoilt(messages=5), "messages must be a list, not 5"),
        (spoilt(session_id=7), "session_id must be a text, not 7"),
        (spoilt(session_id="a\nb"), "session_id must have at most 200 characters that can be printed"),
        (spoilt(delay=-1), "delay must be a number from 0 to 10000000000, not -1"),
        (spoilt(delay=1e300), "delay must be a number from 0 to 10000000000, not 1e+300"),
        (spoilt(output_length=1.5), "output_length must be a whole number from 0 to 1000000000, not 1.5"),
        (spoilt(messages=[{"role": "robot"}]), "messages[0].role must be one of system, developer, user, assistant"),
        (content({"type": "text"}), "messages[0].content[0].text is missing"),
        (content({"type": "video_url"}), "messages[0].content[0].type must be one of text, image_url"),
        (content({"type": "image_url"}), "messages[0].content[0] names no screenshot"),
        (content({"type": "image_url", "uuid": "x"}), "messages[0].content[0] names no screenshot"),
        (
            content({"type": "image_url", "image_url": {"url": "../secret.png"}}),
            "messages[0].content[0].image_url.url '../secret.png' leads out of the folder of the requests",
        ),
        (
            content({"type": "image_url", "image_url": {"url": "https://x/y.png"}}),
            "messages[0].content[0].image_url.url 'https://x/y.png' is not read: nothing is downloaded",
        ),
        (
            content({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
            "messages[0].content[0].image_url.url ",
        ),
        (
            content(shot("a", 0), role="assistant"),
            "messages[0].content[0] is a screenshot in a message of the assistant",
        ),
        (
            spoilt(messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]),
            "messages must end with what the agent saw: a message of the user or of a tool",
        ),
        (
            [record("b", 0), record("c", 0), record("b", 0)],
            "session 'b' goes on after another one: the requests of a session stand together",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(write: Write, lines: Lines, mistake: str) -> None:
    folder = write(lines)
    with pytest.raises(UsageError) as error:
        read(folder)
    assert str(error.value).startswith(f"{folder / 'h_cua.jsonl'}, line {len(lines)}: {mistake}")
    assert "\n" not in str(error.value)


def test_the_file_of_records_is_found(tmp_path: Path, write: Write) -> None:
    with pytest.raises(UsageError, match=r"give --dataset-path FOLDER with its h_cua.jsonl"):
        open_workload("h-cua-perf")
    with pytest.raises(UsageError, match="cannot be read"):
        open_workload("h-cua-perf", Sources(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"must hold h_cua.jsonl, or one other file that ends in .jsonl, not none"):
        open_workload("h-cua-perf", Sources(tmp_path))
    (tmp_path / "h_cua.jsonl.zst").write_bytes(b"")
    with pytest.raises(UsageError, match=r"unpack h_cua.jsonl.zst first \(zstd -d h_cua.jsonl.zst\)"):
        open_workload("h-cua-perf", Sources(tmp_path))
    (write(both()) / "h_cua.jsonl").rename(tmp_path / "small.jsonl")
    assert len(read(tmp_path)) == 2 * STEPS
    (tmp_path / "other.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"not other.jsonl, small.jsonl"):
        open_workload("h-cua-perf", Sources(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_links_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "h_cua.jsonl")
    with pytest.raises(UsageError, match="it is a named pipe, not a regular file"):
        read(tmp_path)
    (tmp_path / "h_cua.jsonl").unlink()
    (tmp_path / "h_cua.jsonl").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="it is a symbolic link"):
        read(tmp_path)


@pytest.mark.parametrize("depth", [400, 5000, 100_000])
def test_lists_in_lists_are_read_or_refused(tmp_path: Path, depth: int) -> None:
    line = json.dumps(record("a", 0)).replace('"tools": [', f'"tools": [{"[" * depth}{"]" * depth}, ', 1)
    (tmp_path / "h_cua.jsonl").write_text(f"{line}\n")
    if depth == 400:
        assert len(read(tmp_path)) == 1
    else:
        with pytest.raises(UsageError, match="nested too deeply"):
            read(tmp_path)


@pytest.mark.parametrize("flag", ["recur", "subjects"])
def test_settings_of_other_data_sets_are_refused(write: Write, flag: str) -> None:
    sources = Sources(write(both()), recur="prefix") if flag == "recur" else Sources(write(both()), ("a",))
    with pytest.raises(UsageError, match=f"takes no --{flag}: sessions are asked as they were recorded"):
        open_workload("h-cua-perf", sources)
