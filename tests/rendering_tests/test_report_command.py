from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.forms.registry import FORMS, load_form
from reports.profile import error_map
from reports.profile.error_map import ERRORS
from reports.profile.saved import find_profile, read_profile
from vlcache_cli.app import main
from workloads.errors import UsageError

SaveRun = Callable[..., Path]


def errors_of(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile folder: two requests of one workload, two media of three tokens, two layers."""
    lines = [
        ("binding", f"q{request}", 0.1, layer, medium, token, False, *(np.float32(layer + token) for _ in ERRORS))
        for request in range(2)
        for layer in range(2)
        for medium in range(2)
        for token in range(3)
    ]
    folder = tmp_path / "profile"
    folder.mkdir()
    error_map.write(pd.DataFrame(lines, columns=list(error_map.COLUMNS)), folder / "error_map.parquet")
    costs = [
        ("binding", f"q{request}", f"c{request}", layer, 0.1 * layer) for request in range(2) for layer in range(2)
    ]
    names = ["workload", "request", "cluster_id", "layer", "kl"]
    error_map.write(pd.DataFrame(costs, columns=names), folder / "sensitivity.parquet")
    return folder


EXPORTER = """
from reports.forms.form import Form

FORM = Form(".runners", lambda runs, options: "".join(f"{label}\\n" for run in runs for label in run.labels).encode())
"""


def test_every_registered_form_declares_a_suffix_of_its_own() -> None:
    suffixes = {name: load_form(name).suffix for name in FORMS}
    assert suffixes == {
        "table": ".txt",
        "csv": ".csv",
        "parquet": ".parquet",
        "json": ".json",
        "md": ".md",
        "html": ".html",
    }
    assert [name for name in FORMS if load_form(name).holds_records] == ["csv", "parquet"]
    assert [name for name in FORMS if not load_form(name).printed] == ["parquet", "html"]


def test_an_exporter_is_one_file_and_one_line_of_the_registry(
    save_run: SaveRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "exporter_of_a_test.py").write_text(EXPORTER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(FORMS, "runners", "exporter_of_a_test:FORM")
    run = str(save_run())
    labels = "full\nprefix-cache\nvlcache@ratio=0\nvlcache@ratio=0.5\n"
    assert main(["report", run, "--format", "runners"]) == 0
    assert capsys.readouterr().out == labels
    assert main(["report", run, "--output", str(tmp_path / "a.runners")]) == 0
    assert (tmp_path / "a.runners").read_text() == labels
    monkeypatch.setitem(FORMS, "runners", "exporter_of_a_test:Form")
    with pytest.raises(TypeError, match="exporter_of_a_test:Form is no Form"):
        load_form("runners")


def test_templates_and_drawings_are_loaded_for_a_page_alone() -> None:
    code = (
        "import sys; from reports.forms.registry import FORMS, load_form; [load_form(name) for name in FORMS]\n"
        "import reports.report_file; print(sorted({'jinja2', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_a_format_tables_go_to_the_screen(save_run: SaveRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(save_run())]) == 0
    told = capsys.readouterr()
    assert "binding: 8 requests, builtin on cpu in float32" in told.out
    assert "changed answers" in told.out
    assert told.err == ""


def test_the_name_of_the_file_tells_the_form(save_run: SaveRun, tmp_path: Path) -> None:
    run = save_run()
    starts = {
        "a.csv": b"run,runner,",
        "a.json": b'{\n  "schema": 1',
        "a.md": b"## What reuse",
        "a.txt": b"\nWhat reuse",
    }
    for name, start in starts.items():
        assert main(["report", str(run), "--output", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(start), name
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*starts, "mine"])


def test_json_and_csv_go_to_the_screen_untouched(save_run: SaveRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(save_run())
    assert main(["report", run, "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["summary"]) == 8
    assert main(["report", run, "--format", "csv", "--records"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 * 8 * 4


def test_pages_and_parquet_go_into_the_run(save_run: SaveRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = save_run()
    assert main(["report", str(run), "--format", "html", "--no-media"]) == 0
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    assert f"report kept in {run / 'report.html'}" in errors_of(capsys)
    assert main(["report", str(run), "--format", "parquet"]) == 0
    assert len(pd.read_parquet(run / "report.parquet")) == 8


def test_margin_and_alpha_are_those_given(save_run: SaveRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(save_run()), "--format", "json", "--margin", "0.9", "--alpha", "0.2"]) == 0
    rows = json.loads(capsys.readouterr().out)["summary"]
    assert {(row["margin"], row["alpha"]) for row in rows} == {(0.9, 0.2)}
    assert {row["verdict"] for row in rows if row["runner"] != "full"} == {"exact", "non-inferior"}


def test_a_profile_adds_its_error_map(save_run: SaveRun, profile: Path, tmp_path: Path) -> None:
    run = save_run()
    page = tmp_path / "page.html"
    assert main(["report", str(run), str(profile), "--output", str(page)]) == 0
    assert "What staleness in one layer costs" in page.read_text()
    assert find_profile(run) == profile.parent / "profile"
    (profile / "error_map.parquet").unlink()
    assert find_profile(run) is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{run}", "--format", "word"], "unknown --format 'word'"),
        (["{run}", "--records"], "--records goes into csv and parquet files, not into table; add --format csv"),
        (["{run}", "--margin", "2"], "--margin must be a number above 0 and below 1"),
        (["{run}", "--alpha", "0"], "--alpha must be a number above 0 and below 1"),
        (["{run}", "{run}/../mine"], "is given twice; name each run once"),
        (["{none}"], "holds no run: there is no manifest.json in it"),
        (["{profile}"], "is a profile, not a run"),
        (["{run}", "--output", "{run}/records.jsonl"], "is where a run keeps its records; choose another --output"),
        (["{run}", "--output", "{none}/a.html", "--no-media"], "No such file or directory; choose another --output"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    save_run: SaveRun,
    profile: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    places = {"run": save_run(), "profile": profile, "none": tmp_path / "none"}
    assert main(["report", *(argument.format(**places) for argument in arguments)]) == 2
    line = errors_of(capsys)
    assert told in line
    assert len(line.splitlines()) == 1


def test_a_run_without_records_is_refused(save_run: SaveRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(save_run("empty", each=lambda record: None))]) == 2
    assert "holds no records yet" in errors_of(capsys)
    unknown = save_run("unknown", change=lambda told: told["workloads"].clear())
    assert main(["report", str(unknown)]) == 2
    assert "line 1 is corrupt (workload 'binding' is none of the manifest's)" in errors_of(capsys)


def test_halves_of_characters_are_refused(save_run: SaveRun, capsys: pytest.CaptureFixture[str]) -> None:
    run = save_run()
    text = (run / "records.jsonl").read_text()
    (run / "records.jsonl").write_text(text.replace('"answer": "no"', r'"answer": "\ud800"'))
    assert main(["report", str(run)]) == 2
    assert "is corrupt" in errors_of(capsys)


def test_a_table_that_is_no_error_map_is_refused(profile: Path) -> None:
    (profile / "error_map.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(UsageError, match="is no table that vlcache profile wrote"):
        read_profile(profile)
    pd.DataFrame({"other": [1]}).to_parquet(profile / "error_map.parquet")
    with pytest.raises(UsageError, match="is no table that vlcache profile wrote"):
        read_profile(profile)


def test_a_report_replaces_the_one_before(save_run: SaveRun, tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("old")
    assert main(["report", str(save_run()), "--output", str(page)]) == 0
    assert page.read_text().startswith("## What reuse gains")
