"""What the gate prints and writes, against files that were read by a person."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from reports.forms.json import document
from reports.forms.table import WIDTH
from reports.gate.claim import Claim, GateResult, Outcome, Outlook
from reports.gate.forms.annotations import MOST, to_annotations
from reports.gate.forms.junit import to_junit
from reports.gate.forms.markdown import MARKER, MOST_ROWS, to_markdown
from reports.gate.forms.table import render
from reports.statistics.needed import Needed

HERE = Path(__file__).parent
NEEDED = Needed(1490, 149, "if no score changes")
PASSING = Claim(
    "binding",
    "vlcache",
    "min_hit_rate",
    0.9,
    0.9,
    Outcome.PASS,
    1.0,
    1.0,
    1.0,
    None,
    40,
    None,
    "not below 90.0 %",
    None,
)
FAILING = Claim(
    "binding",
    "full-reuse@rotate=false",
    "margin",
    0.02,
    -0.02,
    Outcome.FAIL,
    -0.4,
    -0.52,
    -0.31,
    0.0002,
    40,
    31.2,
    "the truth lies below -2.0 points, with all 4 tests of this gate allowed for",
    None,
)
OPEN = Claim(
    "image-chat",
    "vlcache",
    "max_ttft_p99_ratio",
    0.8,
    0.8,
    Outcome.UNDECIDED,
    0.41,
    0.3,
    None,
    None,
    40,
    12.0,
    "the truth may lie on either side of 0.80",
    NEEDED,
)
OUTLOOK = Outlook(
    "binding", 0.02, 0.0, 40, 31.2, NEEDED, 0.05, Needed(4360, 436, "if accuracy falls by 5 points"), 0.95
)
VERDICT = GateResult([PASSING, FAILING, OPEN], 0.05, 4, 2, [OUTLOOK], "old.json", ["torch was 2.12.0 and is 2.13.0"])
NASTY = "a|b`<script>alert(1)</script>`\x1b[31m\x00::error::\r\n]]>&\ud800"


def printed(verdict: GateResult) -> str:
    console = Console(file=io.StringIO(), width=WIDTH)
    console.print(render(verdict))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("golden_gate.txt", printed(VERDICT)),
        ("golden_gate.md", to_markdown(VERDICT)),
        ("golden_gate.xml", to_junit(VERDICT)),
        ("golden_gate_annotations.txt", "\n".join(to_annotations(VERDICT)) + "\n"),
    ],
)
def test_it_looks_as_it_did(file: str, found: str) -> None:
    assert found == (HERE / file).read_text("utf-8")


@pytest.mark.parametrize(
    ("claims", "outcome"),
    [
        ([PASSING], Outcome.PASS),
        ([PASSING, OPEN], Outcome.UNDECIDED),
        ([OPEN, PASSING, FAILING], Outcome.FAIL),
    ],
)
def test_the_worst_claim_decides(claims: list[Claim], outcome: Outcome) -> None:
    assert replace(VERDICT, claims=claims).outcome is outcome


def test_counts_in_junit_are_those_of_its_cases() -> None:
    root = ElementTree.fromstring(to_junit(VERDICT).split("\n", 1)[1])
    for part in (root, *root.findall("testsuite")):
        cases = part.findall(".//testcase")
        assert int(part.attrib["tests"]) == len(cases)
        assert int(part.attrib["failures"]) == len([case for case in cases if case.find("failure") is not None])
        assert int(part.attrib["skipped"]) == len([case for case in cases if case.find("skipped") is not None])


def test_names_cannot_break_out() -> None:
    verdict = replace(VERDICT, claims=[replace(FAILING, workload=NASTY, runner=NASTY, reason=NASTY)], baseline=NASTY)
    root = ElementTree.fromstring(to_junit(verdict).split("\n", 1)[1].encode())
    assert root.findall("testsuite")[0].attrib["name"].startswith("a|b`<script>alert(1)</script>`")
    markdown = to_markdown(verdict)
    assert "<script" not in markdown.replace("\\<script", "")
    row = next(line for line in markdown.splitlines() if line.startswith("| ❌"))
    assert row.replace("\\|", "").count("|") == 8
    (annotation,) = to_annotations(verdict)
    assert "\n" not in annotation
    assert "\r" not in annotation
    assert annotation.startswith("::error title=vlcache gate%3A a|b")
    assert len(annotation.split("::")[1].split(",")) == 1


def test_many_claims_are_cut_short_where_readers_would() -> None:
    verdict = replace(VERDICT, claims=[FAILING] * (MOST_ROWS + 5))
    assert "and 5 more" in to_markdown(verdict)
    assert to_markdown(verdict).startswith(MARKER)
    assert len(to_markdown(verdict)) < 65_536
    assert len(to_annotations(verdict)) == MOST


def test_json_has_every_number_as_it_is() -> None:
    gate = json.loads(document(gate=VERDICT.to_json()))["gate"]
    assert gate["outcome"] == "fail"
    assert [claim["outcome"] for claim in gate["claims"]] == ["pass", "fail", "undecided"]
    assert (gate["claims"][1]["value"], gate["claims"][1]["low"], gate["claims"][2]["high"]) == (-0.4, -0.52, None)
    assert gate["claims"][2]["needed"] == {"requests": 1490, "worth": 149, "assuming": "if no score changes"}
    assert gate["outlooks"][0]["fails"]["worth"] == 436
