"""``--no-image``: the same questions without their media."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vlcache_cli.config.commands import BenchConfig
from vlcache_cli.jobs.streams import Stream, open_streams
from workloads.base import WorkloadDefaults
from workloads.errors import UsageError
from workloads.records import Answer, Conversation, Media, Message, Turn, media_in

Bench = Callable[..., int]


def test_questions_answers_and_ids_stay(bench: Bench) -> None:
    (stream,) = open_streams(BenchConfig(workload=("doc-qa",), samples=6)).values()
    bare = stream.without_media()
    for with_media, without in zip(stream.conversations, bare.conversations, strict=True):
        (turn,), (same,) = with_media.turns, without.turns
        assert media_in(with_media.prompt(0))
        assert not media_in(without.prompt(0))
        assert same.content == tuple(part for part in turn.content if isinstance(part, str))
        assert (same.id, same.answer, same.family) == (turn.id, turn.answer, turn.family)
    assert bare.describe() == {**stream.describe(), "no_image": True}


def test_media_of_the_history_are_left_out_too() -> None:
    medium = Media("image", b"x", "x.png")
    turn = Turn("t", (medium, "why?"), Answer((), "exact-match"), "step", arrival_s=1.0)
    talk = Conversation("c", "c", "", (turn,), history=(Message("user", ("look", medium)),))
    assert not media_in(talk.without_media().prompt(0))
    assert talk.without_media().history == (Message("user", ("look",)),)
    assert talk.without_media().turns[0].arrival_s == 1.0


def test_manifest_and_table_say_so(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--no-image", "--output", "run", "--wide") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "asked without its media (--no-image): full scores" in out
    assert "compare with the same run with media" in out
    manifest = json.loads(Path("run/manifest.json").read_text())
    assert manifest["config"]["no_image"] is True
    assert manifest["asked"]["binding"]["no_image"] is True
    assert bench("--output", "other", "--wide") == 0
    assert "without its media" not in capsys.readouterr().out
    other = json.loads(Path("other/manifest.json").read_text())
    assert "no_image" not in other["asked"]["binding"]
    assert other["workloads"] != manifest["workloads"], "the fingerprint of other requests"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--reuse-rate", "0.5"],
        ["--popularity", "zipf"],
        ["--recur", "prefix"],
        ["--strict-reuse"],
        ["--until-decided"],
    ],
)
def test_what_is_about_media_is_refused(bench: Bench, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--no-image", *arguments) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.endswith(f"--no-image leaves all media out, so nothing is reused: drop it or {arguments[0]}")


def test_a_request_of_media_alone_is_refused() -> None:
    turn = Turn("t7", (Media("image", b"x", "x.png"), " "), Answer((), "exact-match"), "step")
    stream = Stream([[Conversation("c", "c", "", (turn,))]], WorkloadDefaults())
    with pytest.raises(UsageError, match="--no-image leaves nothing of request t7: it has no text"):
        stream.without_media()
