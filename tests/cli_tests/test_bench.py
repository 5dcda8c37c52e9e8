from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.run.changed_answers import read_changed_answers, read_medium
from runners.records import Status
from vlcache_cli.app import main
from workloads.synthetic.drawing import Grid, Page, encode_png

Bench = Callable[..., int]


def lines(run: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(run) / "records.jsonl").read_text().splitlines()]


def test_a_run_ends_in_its_answer_on_a_small_screen(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--output", "run") == 0
    out, err = capsys.readouterr()
    shown = out.splitlines()
    assert len(shown) <= 24
    assert max(map(len, shown)) <= 80
    assert "What reuse gains: 4 requests, builtin on cpu in float32" in shown
    assert "vlcache may lose up to" in out
    assert shown[-2].split("  ")[0] == "next"
    assert err == "run kept in run\n"


def test_every_column_is_printed_when_asked_for(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--output", "run", "--wide") == 0
    out, err = capsys.readouterr()
    assert out.index("What reuse gains: 4 requests") < out.index("binding: 4 requests, builtin on cpu in float32")
    assert out.index("\nfull * ") < out.index("\nvlcache ") < out.index("\nprefix-cache ")
    assert " 4.00 " in out
    assert "undecided: 1 of 1 runners; " in out
    assert "149 sharing no media" in out
    assert "speed-up warm: median of per-request TTFT reference / runner" in out
    assert err == "run kept in run\n"


def test_a_run_leaves_its_manifest_and_a_line_per_request_and_runner(bench: Bench) -> None:
    bench("--output", "run", "--seed", "7")
    manifest = json.loads(Path("run/manifest.json").read_text())
    assert manifest["config"]["samples"] == 4
    assert manifest["config"]["workload"] == ["binding"]
    assert manifest["seed"] == 7
    assert set(manifest["workloads"]) == {"binding"}
    assert [runner["label"] for runner in manifest["runners"]] == ["vlcache", "full", "prefix-cache"]
    assert len(lines("run")) == 12


def test_without_an_output_the_run_goes_to_results(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench() == 0
    (run,) = Path("results").iterdir()
    assert capsys.readouterr().err == f"run kept in {run}\n"


@pytest.mark.parametrize("flags", [(), ("--no-media",)])
def test_what_was_asked_is_kept_where_an_answer_is_missing(bench: Bench, world: Any, flags: tuple[str, ...]) -> None:
    world.failing = {"binding-2": Status.OUT_OF_MEMORY}
    bench("--output", "run", *flags)
    (asked,) = read_changed_answers(Path("run")).values()
    assert (asked.workload, asked.request) == ("binding", "binding-2")
    assert "Old value" in asked.question
    kept = [read_medium(Path("run"), medium) for medium in asked.media]
    assert len(kept) == 3
    assert all(data is None for data in kept) if flags else all(data and data.startswith(b"\x89PNG") for data in kept)


def test_json_is_the_only_thing_on_stdout(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--output", "run", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["schema", "manifest", "summary", "notices", "answers"]
    assert document["schema"] == 1
    assert document["answers"]["workloads"]["binding"]["word"] == "Not yet"
    assert document["answers"]["overall"] is None
    assert document["manifest"] == json.loads(Path("run/manifest.json").read_text())
    rows = {row["runner"]: row for row in document["summary"]}
    assert rows["vlcache"]["ttft_speedup"] == 4
    assert {runner: row["verdict"] for runner, row in rows.items()} == {
        "full": None,
        "vlcache": "undecided",
        "prefix-cache": "exact",
    }


def test_everything_cheap_is_checked_before_the_model_is_loaded(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").write_text("")
    for arguments in (
        ["--workload", "bindng"],
        ["--runner", "nosuch"],
        ["--reference", "full-reuse"],
        ["--output", "file"],
        ["--resume"],
        ["--output", "nowhere", "--resume"],
    ):
        assert bench(*arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("vlcache: ")
        assert err.count("\n") == 1
    assert world.loaded == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--workload", "bindng"], "unknown workload 'bindng': did you mean 'binding'?"),
        (
            ["--reference", "full-reuse"],
            "the reference 'full-reuse' is not among the runners (vlcache, full, prefix-cache): "
            "add --runner full-reuse, or choose another --reference",
        ),
        (["--output", "file"], "cannot write to file: File exists; make room or choose another --output"),
        (["--resume"], "--resume needs --output: name the folder of the run to continue"),
        (["--output", "nowhere", "--resume"], "nowhere holds no run: there is no manifest.json in it"),
        (["--reuse-rate", "1.5"], "--reuse-rate must be a number from 0 to 1, not 1.5"),
        (["--samples", "0"], "--samples must be a whole number of at least 1, not 0"),
        (["--margin", "0"], "--margin must be a number above 0 and below 1, not 0.0"),
        (["--alpha", "2"], "--alpha must be a number above 0 and below 1, not 2.0"),
        (["--dtype", "float23"], "--dtype must be auto, float32, bfloat16 or float16, not 'float23'"),
    ],
)
def test_mistakes_are_answered_with_one_line_that_says_the_fix(
    bench: Bench, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    Path("file").write_text("")
    assert bench(*arguments) == 2
    assert capsys.readouterr().err == f"vlcache: {line}\n"


def test_an_existing_run_is_not_overwritten(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench("--output", "run")
    before = Path("run/records.jsonl").read_bytes()
    capsys.readouterr()
    assert bench("--output", "run") == 2
    assert capsys.readouterr().err == (
        "vlcache: run already holds a run: add --resume to continue it, or choose another --output\n"
    )
    assert Path("run/records.jsonl").read_bytes() == before


def test_failed_requests_are_told_and_make_the_exit_code_4(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world.failing = {"binding-1": Status.REUSE_VIOLATED, "binding-2": Status.REUSE_VIOLATED}
    assert bench("--output", "run") == 4
    out, err = capsys.readouterr()
    assert "failed, counted as wrong: vlcache 2 of 4" in out
    assert "runner vlcache: 2 requests failed (reuse-violated), the first: reuse fell back: evicted\n" in err


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    bench("--output", "unbroken")
    world.served.clear()
    world.stop_with, world.stop_after = KeyboardInterrupt(), 5
    assert bench("--output", "my run") == 130
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.endswith("--output 'my run' --resume")
    start = "vlcache: interrupted; what was answered is kept, continue with: vlcache "
    assert err.startswith(start)
    assert len(lines("my run")) == 5

    world.stop_with = None
    world.served.clear()
    assert main(shlex.split(err.removeprefix(start))) == 0
    assert len(world.served) == 7
    assert len(world.replayed) == 5
    assert lines("my run") == lines("unbroken")
    assert "What reuse gains: 4 requests" in capsys.readouterr().out


def test_without_an_output_the_line_names_the_folder(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world.stop_with, world.stop_after = KeyboardInterrupt(), 1
    bench()
    (run,) = Path("results").iterdir()
    assert capsys.readouterr().err.endswith(f" --output {run} --resume\n")


def test_interrupted_while_the_model_is_loaded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load_model(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["runners.models.load"], "load_model", load_model)
    assert bench("--output", "run") == 130
    assert capsys.readouterr().err == "vlcache: interrupted before anything was measured\n"


def test_a_torn_last_line_is_measured_again(bench: Bench, world: Any) -> None:
    bench("--output", "run")
    records = Path("run/records.jsonl")
    whole = records.read_bytes()
    records.write_bytes(whole[:-9])
    world.served.clear()
    assert bench("--output", "run", "--resume") == 0
    assert len(world.served) == 1
    assert records.read_bytes() == whole


def test_a_finished_run_is_shown_again_without_measuring(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    bench("--output", "run")
    first = capsys.readouterr().out
    world.served.clear()
    assert bench("--output", "run", "--resume") == 0
    assert capsys.readouterr().out == first
    assert world.served == []


def test_failures_before_the_interruption_still_count(bench: Bench, world: Any) -> None:
    world.failing = {"binding-0": Status.ERROR}
    world.stop_with, world.stop_after = KeyboardInterrupt(), 5
    bench("--output", "run")
    world.stop_with = None
    assert bench("--output", "run", "--resume") == 4


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [
        (["--seed", "1"], "config.seed was 0 and is now 1"),
        (["--workload", "video"], 'config.workload was ["binding"] and is now ["binding", "video"]'),
    ],
)
def test_another_configuration_cannot_be_resumed(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], difference: str
) -> None:
    bench("--output", "run")
    capsys.readouterr()
    assert bench("--output", "run", "--resume", *arguments) == 2
    assert capsys.readouterr().err == (
        f"vlcache: cannot resume run: {difference}; use the same options, or start another run with another --output\n"
    )
    assert world.loaded == 1


def test_a_run_with_settings_that_are_gone_cannot_be_resumed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench("--output", "run")
    manifest = json.loads(Path("run/manifest.json").read_text())
    manifest["config"] |= {"tolerance": 0.1, "max_ratio": 1.0}
    Path("run/manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert bench("--output", "run", "--resume") == 2
    assert capsys.readouterr().err == (
        "vlcache: cannot resume run: another command or version of vlcache began it, with settings that this one does "
        "not have (max_ratio, tolerance): start another run with another --output\n"
    )


def test_a_run_whose_method_had_another_default_cannot_be_resumed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The donor policy stands in no setting where each method has its own."""
    bench("--output", "run")
    manifest = json.loads(Path("run/manifest.json").read_text())
    manifest["runners"][0]["options"] = {"donor": "isolated"}
    Path("run/manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert bench("--output", "run", "--resume") == 2
    label = manifest["runners"][0]["label"]
    assert f'cannot resume run: options.{label} was {{"donor": "isolated"}} and is now ' in capsys.readouterr().err


def test_what_only_concerns_presentation_may_change(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench("--output", "run")
    capsys.readouterr()
    assert bench("--output", "run", "--resume", "--json") == 0
    json.loads(capsys.readouterr().out)


def test_a_run_may_be_judged_again_by_another_margin_and_confidence(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    bench("--output", "run", "--json")
    first = json.loads(capsys.readouterr().out)
    world.served.clear()
    assert bench("--output", "run", "--resume", "--json", "--margin", "0.9", "--alpha", "0.5") == 0
    again = json.loads(capsys.readouterr().out)
    assert world.served == []
    assert again["manifest"] == first["manifest"]
    told = [(row["verdict"], row["margin"], row["alpha"]) for row in again["summary"]]
    assert told == [(None, 0.9, 0.5), ("non-inferior", 0.9, 0.5), ("exact", 0.9, 0.5)]


def test_another_stream_cannot_be_resumed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench("--output", "run")
    manifest = json.loads(Path("run/manifest.json").read_text())
    manifest["workloads"]["binding"] = "other"
    Path("run/manifest.json").write_text(json.dumps(manifest))
    assert bench("--output", "run", "--resume") == 2
    assert 'workloads.binding was "other" and is now ' in capsys.readouterr().err


def test_another_model_cannot_be_resumed(bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bench("--output", "run")
    records = Path("run/records.jsonl")
    records.write_bytes(records.read_bytes()[:-9])
    torn = records.read_bytes()
    world.fingerprint = "f1"
    assert bench("--output", "run", "--resume") == 2
    assert 'model.fingerprint was "f0" and is now "f1"' in capsys.readouterr().err
    assert records.read_bytes() == torn


def test_a_crash_leaves_one_line_and_a_traceback_in_the_run(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    world.stop_with, world.stop_after = RuntimeError("shapes differ\nand more"), 2
    assert bench("--output", "run") == 70
    (file,) = Path("run").glob("vlcache-traceback-*.txt")
    assert capsys.readouterr().err == (
        f"vlcache: internal error, RuntimeError: shapes differ; please report it with {file}\n"
    )
    assert "RuntimeError: shapes differ\nand more" in file.read_text()
    assert len(lines("run")) == 2


def test_a_preset_runs(bench: Bench, world: Any) -> None:
    assert main(["bench", "--preset", "smoke", "--output", "run"]) == 0
    assert {key.split("/")[0] for key in world.served} == {"image-chat", "binding"}
    assert len(world.served) == 2 * 4 * 3


def own_requests(picture: bytes, answer: str = "A") -> str:
    """A file with one request about ``picture``."""
    folder = Path("requests")
    folder.mkdir(exist_ok=True)
    (folder / "page.png").write_bytes(picture)
    content = [{"type": "image_url", "image_url": {"url": "page.png"}}, {"type": "text", "text": "Which letter?"}]
    line = {"messages": [{"role": "user", "content": content}], "answer": answer}
    (folder / "own.jsonl").write_text(json.dumps(line))
    return "requests/own.jsonl"


def test_own_requests_are_a_workload(bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    picture = encode_png(Page(Grid(4, 4), {}))
    own = own_requests(picture)
    assert bench("--workload", own, "--output", "run", "--wide") == 0
    out = capsys.readouterr().out
    assert out.index("binding: 4 requests") < out.index("own.jsonl: 1 request")
    assert {key.split("/")[0] for key in world.served} == {"binding", "own.jsonl"}
    own_requests(picture, answer="B")
    assert bench("--workload", own, "--output", "run", "--resume") == 2
    assert "cannot resume run: workloads.own.jsonl was " in capsys.readouterr().err


def test_a_truncated_picture_is_told_before_anything_is_loaded(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    own = own_requests(encode_png(Page(Grid(4, 4), {}))[:-40])
    assert bench("--workload", own, "--output", "run") == 2
    out, err = capsys.readouterr()
    assert out == ""
    where = "requests/own.jsonl, line 1: messages[0].content[0].image_url.url"
    assert err.startswith(f"vlcache: {where} 'page.png' is not a readable picture (")
    assert err.count("\n") == 1
    assert world.loaded == 0
    assert not Path("run").exists()


def test_a_store_on_disk_is_opened_and_said(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--output", "run", "--store-dir", "store", "--disk-budget", "1MiB", "--namespace", "mine") == 0
    assert "disk tier store: 0 entries read, 0 written\n" in capsys.readouterr().err
    assert Path("store").stat().st_mode & 0o777 == 0o700
    config = json.loads(Path("run/manifest.json").read_text())["config"]
    assert (config["store_dir"], config["disk_budget"], config["namespace"]) == ("store", 1 << 20, "mine")
    bench("--output", "other")
    assert not {"store_dir", "store_dtype"} & {*json.loads(Path("other/manifest.json").read_text())["config"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--store-dir", "file"], "--store-dir file is no folder: choose another place"),
        (
            ["--store-dtype", "int8"],
            "--store-dtype is of entries on the host or on disk: add --host-budget or --store-dir",
        ),
        (["--store-dtype", "int4"], "--store-dtype must be auto or int8, not 'int4'"),
    ],
)
def test_a_store_that_cannot_be_is_said_before_anything_is_loaded(
    bench: Bench, world: Any, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    Path("file").write_bytes(b"")
    assert bench("--output", "run", *options) == 2
    assert said in capsys.readouterr().err
    assert world.loaded == 0
    assert not Path("run").exists()
