"""How data sets are asked for on the command line, and what is said to those who err."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlcache_cli.app import main
from vlcache_cli.config.commands import BenchConfig
from vlcache_cli.config.layers import resolve
from workloads.errors import UsageError
from workloads.registry import WORKLOADS, dataset_names, trace_names
from workloads.synthetic.drawing import Grid, Page, encode_png

Bench = Callable[..., int]


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """A data set of three questions, described by a file."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "page.png").write_bytes(encode_png(Page(Grid(2, 2), {})))
    rows = [{"image": "page.png", "question": f"What {number}?", "answer": "A"} for number in range(3)]
    (folder / "test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    described = {
        "description": "Mine.",
        "path": "here",
        "split": "test",
        "fields": {"images": "image", "question": "question", "answers": "answer"},
        "max_new_tokens": 9,
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(described))
    return "mine.yaml"


def asked(run: str = "run") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run, "manifest.json").read_text())["asked"]
    return found


def test_a_described_data_set_is_benchmarked_as_suits_it(
    bench: Bench, mine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--workload", mine, "--output", "run", "--wide") == 0
    out, err = capsys.readouterr()
    assert "mine.yaml: 4 requests" in out
    assert err.splitlines() == ["mine.yaml: what was shown is asked again under another opening", "run kept in run"]
    assert set(asked()) == {"binding", "mine.yaml"}
    assert asked()["mine.yaml"] == {
        "max_new_tokens": 9,
        "reuse_rate": 0.5,
        "popularity": "even",
        "recurrence": "what was shown is asked again under another opening",
        "samples": 4,
        "metrics": ["exact-match"],
    }
    assert asked()["binding"] == {
        "max_new_tokens": 4,
        "reuse_rate": pytest.approx(1 / 3),
        "popularity": "own",
        "recurrence": "media come back in another order or company, or after other text",
        "samples": 4,
        "metrics": ["exact-match"],
    }


def test_what_the_user_says_holds_for_all(bench: Bench, mine: str) -> None:
    said = ["--max-new-tokens", "2", "--reuse-rate", "0.25", "--popularity", "zipf", "--recur", "shuffle"]
    assert bench("--workload", mine, "--output", "run", *said) == 0
    for name, told in asked().items():
        assert (told["max_new_tokens"], told["reuse_rate"], told["popularity"]) == (2, 0.25, "zipf")
        assert ("other cases" in told["recurrence"]) == (name == "mine.yaml")


def test_media_of_a_request_file_come_back_as_told(bench: Bench, mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = {"messages": [{"role": "user", "content": "<image>What?"}], "images": ["here/page.png"], "answer": "A"}
    Path("own.jsonl").write_text(json.dumps(line))
    assert bench("--workload", "own.jsonl", "--output", "run", "--recur", "prefix", "--wide") == 0
    out, err = capsys.readouterr()
    assert "own.jsonl: 4 requests" in out
    assert "reuse never happened" not in out
    assert "own.jsonl: what was shown is asked again under another opening" in err
    assert asked()["own.jsonl"]["recurrence"] == "what was shown is asked again under another opening"
    records = [json.loads(text) for text in Path("run/records.jsonl").read_text().splitlines()]
    warmth = {record["request"]: record["warmth"] for record in records if record["workload"] == "own.jsonl"}
    assert warmth == {"line-1": "cold", **{f"line-1-again-{number}": "warm" for number in (1, 2, 3)}}


def test_a_data_set_that_is_refused_is_told_in_one_line(
    bench: Bench, mine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert bench("--workload", "docvqa", "--output", "run", "--dataset-path", "file") == 2
    assert capsys.readouterr().err == "vlcache: --dataset-path file is no folder\n"
    Path("bad.jsonl").write_text("{}")
    assert bench("--workload", f"{mine},bad.jsonl", "--output", "run", "--recur", "prefix") == 2
    assert capsys.readouterr().err.startswith("vlcache: bad.jsonl, line 1: ")


def test_a_run_with_a_data_set_resumes(bench: Bench, mine: str) -> None:
    assert bench("--workload", mine, "--output", "run") == 0
    before = Path("run/records.jsonl").read_bytes()
    assert bench("--workload", mine, "--output", "run", "--resume") == 0
    assert Path("run/records.jsonl").read_bytes() == before


@pytest.mark.parametrize("once", [("--recur", "none"), ("--reuse-rate", "0")])
def test_all_of_it_is_asked_where_nothing_recurs(
    bench: Bench, mine: str, capsys: pytest.CaptureFixture[str], once: tuple[str, str]
) -> None:
    assert bench("--workload", mine, "--output", "run", *once, "--samples", "9", "--wide") == 0
    out, err = capsys.readouterr()
    assert "mine.yaml: 3 requests" in out
    assert err.startswith("mine.yaml: every question once;")


def test_a_data_set_without_rows_is_refused(bench: Bench, mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    described = json.loads(Path(mine).read_text())
    Path(mine).write_text(
        json.dumps({**described, "most_media": 1, "fields": {**described["fields"], "images": ["image"] * 2}})
    )
    assert bench("--workload", mine) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("workload 'mine.yaml' has nothing to ask")


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (
            ["--recur", "prefix"],
            "--recur is about data sets and request files, and binding has none; see vlcache list workloads",
        ),
        (
            ["--workload", "gui-agent@window=2", "--reuse-rate", "0.5"],
            "workload 'gui-agent@window=2' takes no --reuse-rate: screenshots come back as the window slides on; "
            "drop it",
        ),
        (
            ["--workload", "gui-agent", "--popularity", "zipf"],
            "workload 'gui-agent' takes no --popularity: screenshots come back as the window slides on; drop it",
        ),
        (["--subjects", "Art"], "--subjects is about data sets, and binding has none; see vlcache list workloads"),
        (
            ["--dataset-path", "."],
            "--dataset-path is about data sets, and binding has none; see vlcache list workloads",
        ),
        (
            ["--workload", "docvqa", "--workload", "mmmu", "--dataset-path", "."],
            "--dataset-path is about one data set, not docvqa and mmmu: run them one by one",
        ),
        (["--workload", "mmmu", "--subjects", "Art,Musik"], "unknown subject of mmmu 'Musik': did you mean 'Music'?"),
        (["--workload", "docvqua"], "unknown workload 'docvqua': did you mean 'docvqa'?"),
        (["--workload", "none.yaml"], "cannot read none.yaml: No such file or directory"),
        (["--workload", "mmmu", "--recur", "twice"], "--recur must be none, prefix, questions or shuffle, not 'twice'"),
        (["--workload", "mmmu", "--subjects", "Art,Art"], "--subjects names 'Art' twice"),
        (["--workload", "mmmu", "--subjects", ","], "--subjects must be a text, not ''"),
    ],
)
def test_mistakes_are_told_in_one_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], arguments: list[str], mistake: str
) -> None:
    assert bench(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert mistake in err
    assert len(err.splitlines()) == 1


def test_subjects_are_a_comma_list_or_a_list(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("subjects: [Art, 'Math, Music']\ndataset-path: there\nrecur: questions\nmax-new-tokens: 7")
    config = resolve(BenchConfig, {"config": str(file)})
    assert (config.subjects, config.recur, config.max_new_tokens) == (("Art", "Math", "Music"), "questions", 7)
    assert config.measured()["dataset_path"] == "there"
    assert resolve(BenchConfig, {"config": str(file), "subjects": ["Art,Math", "Design"]}).subjects == (
        "Art",
        "Math",
        "Design",
    )
    for wrong in ("subjects: 3", "max-new-tokens: 0", "reuse-rate: 2"):
        file.write_text(wrong)
        with pytest.raises(UsageError, match=wrong.split(":")[0]):
            resolve(BenchConfig, {"config": str(file)})


def test_the_list_has_what_is_built_in_data_sets_and_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "workloads"]) == 0
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:1].strip()]
    data_sets = ["mmmu", "h-cua-perf", *dataset_names()]
    assert named == [*WORKLOADS, *trace_names(), *data_sets, "lm-eval:TASK", "FILE.yaml", "FILE.jsonl"]


def test_a_trace_says_how_its_images_come_back_and_what_it_is_scaled_by(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--workload", "servegen-image@scale=0.1", "--output", "run") == 0
    told = (
        "80% of requests with images show images seen before, by the law of the trace; "
        "sizes in tokens are 0.1 times those of the trace"
    )
    assert f"servegen-image@scale=0.1: {told}" in capsys.readouterr().err.splitlines()
    assert asked()["servegen-image@scale=0.1"]["recurrence"] == told


def test_blocks_are_of_what_is_drawn(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--workload", "gui-agent@window=2", "--blocks", "2", "--output", "run") == 0
    assert bench("--workload", "servegen-image", "--blocks", "2") == 2
    assert "--blocks draws with other seeds" in capsys.readouterr().err
