"""What a run holds reaches no terminal, log or spreadsheet as a command, in any form of a report or a gate's result."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.forms.flat import to_csv
from reports.forms.form import ReportOptions
from reports.forms.json import document
from reports.gate.claim import Claim, GateResult, Outcome
from reports.gate.forms.annotations import to_annotations
from reports.gate.forms.junit import to_junit
from reports.gate.forms.markdown import to_markdown
from reports.pictures.labels import legible
from reports.report_file import write
from reports.runs import read_runs
from reports.tables.markdown import plain
from runners.records import Record
from vlcache_cli.app import main

NASTY = "=x\x1b]0;owned\x07\x9b31m\u202e\n::stop-commands::x\r##[error]y @team #1 https://evil.example [a](b) |<b>`$"
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
COMMANDS = re.compile(r"^\s*::|##\w*\[", re.MULTILINE)
TEXTS = st.text() | st.lists(st.sampled_from([*NASTY, "::", "##[", " ", "\u00a0", "\ufeff", "é", "漢"])).map("".join)


@pytest.fixture
def nasty_run(save_run: Callable[..., Path]) -> Path:
    """A run whose names, answers and errors all try to break out."""

    def change(told: dict[str, Any]) -> None:
        told["model"]["name"] = told["model"]["device_name"] = NASTY
        told["workloads"][NASTY] = NASTY
        label = told["runners"][2]["label"]
        told["runners"][2] |= {"label": NASTY, "method": NASTY}
        told["sweep"]["runners"][NASTY] = told["sweep"]["runners"].pop(label)

    def each(record: Record) -> Record:
        named = replace(record, answer=record.answer and NASTY, error=record.error and NASTY, gold=(NASTY,))
        named = replace(named, workload=NASTY) if named.workload == "video" else named
        return replace(named, runner=NASTY) if named.runner == "vlcache@ratio=0" else named

    return save_run(
        NASTY.replace("/", "_"),
        change=change,
        each=lambda record: (
            replace(changed, key=f"{changed.workload}/{changed.request}/{changed.runner}")
            if (changed := each(record))
            else None
        ),
    )


def test_no_form_of_a_report_is_obeyed(nasty_run: Path) -> None:
    runs = read_runs([nasty_run], 0.02, 0.05)
    for form in ("table", "md", "csv", "json"):
        assert not CONTROLS.search(write(runs, form, ReportOptions(records=form == "csv")).decode()), form


@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
def test_nothing_on_the_screen_is_obeyed(nasty_run: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert main(["report", str(nasty_run), "--format", form]) == 0
    for text in capsys.readouterr():
        assert not CONTROLS.search(text)
        assert not COMMANDS.search(text)
        assert "\r" not in text
    if form == "json":
        assert main(["report", str(nasty_run), "--format", form]) == 0
        assert NASTY in json.loads(capsys.readouterr().out)["manifest"]["workloads"]


def test_nothing_that_a_gate_says_is_obeyed(
    nasty_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert main(["gate", str(nasty_run), "--junit", str(tmp_path / "gate.xml")]) in (1, 3, 4)
    out, err = capsys.readouterr()
    written = (summary.read_text(), (tmp_path / "gate.xml").read_text())
    for text in (out, err, *written):
        assert not CONTROLS.search(text)
    assert not COMMANDS.search(out)
    commands = [line for line in err.split("\n") if COMMANDS.search(line)]
    assert commands
    assert all(line.startswith(("::error title=vlcache gate", "::warning title=vlcache gate")) for line in commands)
    assert "\r" not in out + err


@given(TEXTS)
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    shown = plain(f"x {text}")
    assert "\n" not in shown
    assert not CONTROLS.search(shown)
    bare = re.sub(r"\\[^\w\s]", "", shown.replace("<!-- -->", ""))
    assert not re.search(r"[`*_{}\[\]<>#|~&!]", bare)
    assert not re.search(r"(?<!\w)@(?!<!-- -->)|https?:|www\.", shown)


@given(TEXTS)
def test_no_cell_of_a_csv_file_begins_a_formula(text: str) -> None:
    told = to_csv(pd.DataFrame({"a": [text], "b": [-1.5]}))
    assert not CONTROLS.search(told)
    _, (cell, number) = csv.reader(io.StringIO(told, newline=""))
    assert cell.lstrip(" \t\r\n\u00a0\u3000\ufeff\u200b")[:1] not in tuple("=+-@\uff1d\uff0b\uff0d\uff20")
    assert cell[:1] not in ("\t", "\r")
    assert number == "-1.5"


@pytest.mark.parametrize("before", [" ", "\n", "\u00a0", "\ufeff", "\t", "\r", "\u3000", " \n\ufeff "])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d"])
def test_a_formula_is_found_behind_white_space(before: str, sign: str) -> None:
    told = to_csv(pd.DataFrame({"a": [f"{before}{sign}1+1"]}))
    (_, (cell,)) = csv.reader(io.StringIO(told, newline=""))
    assert cell == f"'{before}{sign}1+1".replace("\r", r"\r")


@given(TEXTS)
def test_a_json_document_and_a_page_hold_any_text(text: str) -> None:
    told = document(name=text)
    assert json.loads(told)["name"] == text
    assert not CONTROLS.search(told)
    assert not COMMANDS.search(told)
    assert not CONTROLS.search(legible(text))


@given(TEXTS, TEXTS, TEXTS)
def test_a_gate_says_any_names(workload: str, runner: str, reason: str) -> None:
    claim = Claim(workload, runner, "margin", 0.02, -0.02, Outcome.FAIL, None, None, None, None, 40, None, reason, None)
    result = GateResult([claim], 0.05, 4, 0, [], reason, [reason])
    for text in (junit := to_junit(result), to_markdown(result), *to_annotations(result)):
        assert not CONTROLS.search(text)
    ElementTree.fromstring(junit.split("\n", 1)[1].encode())
    (annotation,) = to_annotations(result)
    assert "\n" not in annotation
    assert annotation.startswith("::error title=vlcache gate")
    assert ":" not in annotation.removeprefix("::error title=").partition("::")[0]


@pytest.mark.parametrize("kind", ["folder", "pipe", "full"])
@pytest.mark.parametrize(
    "arguments", [["gate", "--junit"], ["gate", "--markdown"], ["report", "--format", "csv", "--output"]]
)
def test_what_cannot_be_written_to_is_refused_at_once(
    save_run: Callable[..., Path], capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, arguments: list[str]
) -> None:
    run = save_run(each=lambda record: record if record.workload == "video" else None)
    place = tmp_path / "place"
    if kind == "pipe":
        os.mkfifo(place)
    if kind == "folder":
        place.mkdir()
    name = "/dev/full" if kind == "full" else str(place)
    command, *options = arguments
    assert main([command, str(run), *options, name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"cannot write {name}: " in err
