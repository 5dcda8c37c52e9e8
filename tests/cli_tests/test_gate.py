from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from reports.run.differences import KINDS
from reports.run.store import RunFolder
from runners.records import CacheStats, Record, Status, Timing, Warmth
from vlcache_cli.app import main

Bench = Callable[..., int]
Save = Callable[..., Path]

MODEL = {"name": "builtin", "fingerprint": "f0", "dtype": "float32", "device": "cpu", "profile": {}}
MANIFEST: dict[str, Any] = {
    "schema": 1,
    "config": {"reference": "full"},
    "workloads": {"binding": "w0"},
    "model": MODEL,
    "runners": [
        {"label": "full", "method": "full", "lossless": True},
        {"label": "vlcache", "method": "vlcache", "lossless": False},
    ],
    "environment": {"libraries": {"torch": "2.13.0"}},
    "verdict": {"margin": 0.02, "alpha": 0.05},
}


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Keeps a run; returns its folder."""

    def write(name: str = "run", requests: int = 200, about: dict[str, Any] | None = None, **what: Any) -> Path:
        folder = RunFolder(tmp_path / name)
        folder.claim()
        folder.manifest_path.write_text(json.dumps(MANIFEST | (about or {})))
        with folder.appending() as append:
            for number in range(requests):
                for runner in ("full", "vlcache"):
                    append(answer(number, runner, **what))
        return folder.path

    return write


def answer(number: int, runner: str, wrong: int = 0, failed: int = 0, faster: float = 3.0, hits: int = 3) -> Record:
    ours = runner == "vlcache"
    status = Status.ERROR if ours and number < failed else Status.OK
    ok = status is Status.OK
    right = not (ours and number < wrong + failed)
    took = (90.0 + number % 20) / (faster if ours else 1.0)
    found = hits if ours else 0
    return Record(
        key=f"binding/q{number}/{runner}",
        workload="binding",
        request=f"q{number}",
        runner=runner,
        cluster_id=f"album-{number}",
        family="changed",
        order=0,
        warmth=Warmth.WARM,
        recurring_media=3,
        content_share=None,
        status=status,
        error=None if ok else "it broke",
        answer="A" if ok else None,
        gold=("A",),
        token_ids=(7,) if ok else (),
        score=float(right),
        agrees=right if ok else None,
        timing=Timing(took, *[0.0] * 9) if ok else None,
        cache=CacheStats(3, found, found, found, 120, 100, 0, 25, 25, 5, 1e8, 1e9, 0, None) if ok else None,
    )


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({}, 0),
        ({"wrong": 20}, 1),
        ({"faster": 0.8}, 1),
        ({"hits": 0}, 1),
        ({"requests": 10}, 3),
        ({"requests": 400, "failed": 1}, 4),
        ({"requests": 400, "failed": 1, "hits": 0}, 1),
        ({"requests": 10, "failed": 1}, 4),
    ],
)
def test_the_exit_code_is_the_answer(save: Save, what: dict[str, Any], code: int) -> None:
    assert main(["gate", str(save(**what))]) == code


def test_the_reason_stands_in_the_table(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    main(["gate", str(save(hits=0))])
    out = " ".join(capsys.readouterr().out.split())
    assert "vlcache media hits at least 90.0 % 0.0 % violated" in out
    assert "the gate fails: 2 violated, 2 met of 4 requirements" in out


def test_ten_samples_say_how_many_would_do(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    main(["gate", str(save(requests=10))])
    assert "149 requests like these (149 sharing no media) would decide" in " ".join(capsys.readouterr().out.split())


def test_a_run_is_judged_by_its_own_margin(save: Save) -> None:
    assert main(["gate", str(save(requests=100))]) == 3
    lenient = save("lenient", 100, {"verdict": {"margin": 0.05, "alpha": 0.05}})
    assert main(["gate", str(lenient)]) == 0


def test_a_run_of_bench_can_be_judged(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--output", "run", "--margin", "0.9") == 0
    assert main(["gate", "run"]) == 3
    assert re.search("accuracy change +at least -90.0 points", capsys.readouterr().out)


def test_a_policy_replaces_what_is_required(save: Save, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{min-speedup: 2.5}]")
    run = save()
    assert main(["gate", str(run), "--policy", str(policy)]) == 0
    policy.write_text("rules: [{min-speedup: 3.5}]")
    assert main(["gate", str(run), "--policy", str(policy)]) == 1


def test_json_is_all_of_stdout_and_serves_as_baseline(
    save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", str(save(requests=400)), "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert printed.err == ""
    assert list(document) == ["schema", "manifest", "summary", "gate"]
    assert document["gate"]["outcome"] == "pass"
    baseline = tmp_path / "old.json"
    baseline.write_text(printed.out)
    assert main(["gate", str(save("slow", 400, faster=2.0)), "--baseline", str(baseline)]) == 1
    assert "warm speed-up" not in capsys.readouterr().out.replace("speed-up since baseline", "")


def test_files_for_ci_are_written(save: Save, tmp_path: Path) -> None:
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    assert main(["gate", str(save(wrong=20)), "--junit", str(junit), "--markdown", str(markdown)]) == 1
    assert ElementTree.parse(junit).getroot().attrib["failures"] == "1"
    assert "the gate fails" in markdown.read_text("utf-8")


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("--policy", "--markdown", "--markdown and --policy name one file"),
        ("--policy", "--junit", "--junit and --policy name one file"),
        ("--baseline", "--markdown", "--markdown and --baseline name one file"),
        ("--junit", "--markdown", "--markdown and --junit name one file"),
    ],
)
@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to])
def test_nothing_is_written_over_what_is_read_or_written(
    save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str, second: str, told: str, link: Any
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("rules: [{min-speedup: 2.5}]")
    if link is None:
        other = tmp_path / "." / ".." / tmp_path.name / "one"
    else:
        link(other, one)
    assert main(["gate", str(save()), first, str(one), second, str(other)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert one.read_text() == "rules: [{min-speedup: 2.5}]"


def test_two_files_that_do_not_exist_yet_are_told_apart(save: Save, tmp_path: Path) -> None:
    run = str(save())
    assert main(["gate", run, "--junit", str(tmp_path / "a"), "--markdown", str(tmp_path / "b" / ".." / "a")]) == 2
    assert main(["gate", run, "--junit", "/dev/null", "--markdown", "/dev/null"]) == 0


def test_github_gets_a_summary_and_annotations(
    save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert main(["gate", str(save(wrong=20)), "--json"]) == 1
    printed = capsys.readouterr()
    json.loads(printed.out)
    assert printed.err.startswith("::error title=vlcache gate%3A binding%2C vlcache::accuracy change -10.0 points [")
    assert summary.read_text("utf-8").startswith("before\n<!-- vlcache gate -->\n### vlcache: the gate fails")


def test_runs_that_are_not_alike_are_refused(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    then = save("then", about={"model": MODEL | {"fingerprint": "f1"}, "environment": {"libraries": {"torch": "2.12"}}})
    run = save()
    assert main(["gate", str(run), "--baseline", str(then)]) == 2
    assert capsys.readouterr().err == (
        f"vlcache: cannot compare with {then}: model differs (fingerprint was f1 and is f0); libraries differ (torch "
        "was 2.12 and is 2.13.0); measure the baseline again, or add --allow-different model,libraries\n"
    )
    assert main(["gate", str(run), "--baseline", str(then), "--allow-different", "model"]) == 2
    allowed = ["--allow-different", "model", "--allow-different", "libraries, device"]
    capsys.readouterr()
    assert main(["gate", str(run), "--baseline", str(then), *allowed]) == 0
    assert "differing, as allowed: fingerprint was f1 and is f0; torch was 2.12" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere holds no run: there is no manifest.json in it"),
        (["run", "--policy", "none.yaml"], "cannot read none.yaml: No such file or directory"),
        (["run", "--baseline", "none.json"], "cannot read none.json: No such file or directory"),
        (
            ["run", "--baseline", "run", "--allow-different", "modle"],
            "unknown kind in --allow-different 'modle': did you mean 'model'?",
        ),
        (["run", "--allow-different", "model"], "--allow-different is about a baseline: add --baseline, or drop it"),
        (["run", "--junit", "no/such/gate.xml"], "cannot write no/such/gate.xml: No such file or directory; choose"),
        (["run", "--markdown", "."], "cannot write .: Is a directory; choose another place"),
        ([], "Missing argument 'RUN'."),
    ],
)
def test_mistakes_take_one_line(
    save: Save, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    save(requests=3)
    assert main(["gate", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"vlcache: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (
            {"runners": [{"label": "full"}]},
            "the manifest of run: runners[0].method is missing",
        ),
        ({"config": {}}, "the manifest of run: config.reference is missing"),
        ({"verdict": {"alpha": 0.7}}, "run was made with --alpha 0.7: name one of at most 0.4 in a policy"),
    ],
)
def test_runs_that_cannot_be_judged(
    save: Save, capsys: pytest.CaptureFixture[str], about: dict[str, Any], message: str
) -> None:
    save(requests=3, about=about)
    assert main(["gate", "run"]) == 2
    assert message in capsys.readouterr().err


def test_a_run_without_records(save: Save, capsys: pytest.CaptureFixture[str]) -> None:
    save(requests=0)
    assert main(["gate", "run"]) == 2
    assert capsys.readouterr().err.startswith("vlcache: run holds no records yet: ")


def test_the_help_names_all_in_which_a_baseline_may_differ(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert main(["gate", "--help"]) == 0
    assert f"a comma list of {', '.join(KINDS)}." in capsys.readouterr().out
