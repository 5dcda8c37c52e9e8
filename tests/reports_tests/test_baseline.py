from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports.forms.json import summary_document
from reports.gate.baseline import Baseline, read_baseline, require_comparable
from reports.gate.claim import Claim, GateResult
from reports.gate.judge import judge_run
from reports.gate.policy import Policy, Rule
from reports.run.differences import KINDS
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.run.store import RunFolder
from reports.summary.summarise import summarise
from runners.records import Record
from workloads.errors import UsageError

MakeRun = Callable[..., list[Record]]
Document = dict[str, Any]

MARGIN, ALPHA = 0.02, 0.05


def as_manifest(document: Document) -> Manifest:
    return Manifest.check(document, "here")


@pytest.fixture
def whole(manifest: Document) -> Document:
    """The manifest of a run, as far as a baseline is looked at."""
    model = {**manifest["model"], "fingerprint": "f0", "processor": "p0", "device_name": "cpu", "threads": 2}
    environment = {"libraries": {"torch": "2.13.0", "numpy": "2.3"}}
    return {**manifest, "schema": 1, "model": model, "environment": environment}


@pytest.fixture
def saved(tmp_path: Path, whole: Document) -> Callable[..., Path]:
    """Keeps records as a run folder, or as what ``--json`` prints of it."""

    def save(records: list[Record], as_document: bool, **about: Any) -> Path:
        if as_document:
            path = tmp_path / "baseline.json"
            rows = summarise(Measurements(as_manifest(whole | about), records), MARGIN, ALPHA)
            path.write_text(summary_document(as_manifest(whole | about), rows, gate={"outcome": "pass"}))
            return path
        folder = RunFolder(tmp_path / "baseline")
        folder.claim()
        folder.start(as_manifest(whole | about))
        with folder.appending() as append:
            for record in records:
                append(record)
        return folder.path

    return save


def compare(records: list[Record], path: Path, manifest: Document, policy: Policy | None = None) -> GateResult:
    baseline = read_baseline(path, MARGIN, ALPHA)
    rows = summarise(Measurements(as_manifest(manifest), records), MARGIN, ALPHA)
    return judge_run(Measurements(as_manifest(manifest), records), rows, policy or Policy(), baseline, MARGIN, ALPHA)


def claims(verdict: GateResult) -> dict[str, Claim]:
    return {claim.requirement: claim for claim in verdict.claims if claim.runner == "vlcache"}


@pytest.mark.parametrize("as_document", [False, True])
def test_against_a_baseline_alone_only_changes_are_judged(
    make_run: MakeRun, saved: Any, whole: Document, as_document: bool
) -> None:
    """The runner loses 10 points against the reference, and did so before."""
    verdict = compare(make_run(1000, lost=100), saved(make_run(1000, lost=100), as_document), whole)
    found = {key: (claim.value, claim.outcome.value) for key, claim in claims(verdict).items()}
    expected = "undecided" if as_document else "pass"  # of a summary, both runs' errors count
    assert found == {
        "max_accuracy_drop": (0, expected),
        "max_slowdown": (1, "pass"),
        "max_hit_rate_drop": (0, "pass"),
        "max_recompute_rise": (0, "pass"),
    }


@pytest.mark.parametrize("as_document", [False, True])
@pytest.mark.parametrize(
    ("now", "violated"),
    [
        ({"lost": 150}, "max_accuracy_drop"),
        ({"slower": 1.3}, "max_slowdown"),
        ({"media_hits": 2}, "max_hit_rate_drop"),
        ({"computed_token_layers": 50}, "max_recompute_rise"),
    ],
)
def test_what_became_worse_fails(
    make_run: MakeRun, saved: Any, whole: Document, as_document: bool, now: dict[str, Any], violated: str
) -> None:
    verdict = compare(make_run(1000, **now), saved(make_run(1000), as_document), whole)
    assert [claim.requirement for claim in verdict.of(claims(verdict)[violated].outcome)] == [violated]
    assert claims(verdict)[violated].outcome == "fail"


def test_a_slower_machine_changes_no_ratio(make_run: MakeRun, saved: Any, whole: Document) -> None:
    """Absolute times are compared nowhere."""
    slower = [
        replace(record, timing=replace(record.timing, ttft_ms=7 * record.timing.ttft_ms))
        for record in make_run()
        if record.timing
    ]
    assert compare(slower, saved(make_run(), False), whole).outcome == "pass"


def test_pairing_by_request_needs_fewer_than_two_summaries(make_run: MakeRun, saved: Any, whole: Document) -> None:
    now, then = make_run(400, lost=30), make_run(400, lost=30)
    paired = claims(compare(now, saved(then, False), whole))["max_accuracy_drop"]
    apart = claims(compare(now, saved(then, True), whole))["max_accuracy_drop"]
    assert paired.low is not None
    assert apart.low is not None
    assert apart.low < paired.low < 0 == paired.value == apart.value


def test_other_requests_are_not_paired(make_run: MakeRun, saved: Any, whole: Document) -> None:
    path = saved(make_run(400, lost=30), False)
    now = make_run(400, lost=30)
    paired = claims(compare(now, path, whole))["max_accuracy_drop"]
    apart = claims(compare(now, path, whole | {"workloads": {"binding": "other"}}))["max_accuracy_drop"]
    assert (apart.low or 0) < (paired.low or 0)


def test_a_policy_adds_to_what_changed(make_run: MakeRun, saved: Any, whole: Document) -> None:
    policy = Policy("mine.yaml", runners=("vlcache",), rules=(Rule({"max_slowdown": 0.5, "min_speedup": 2.0}),))
    found = claims(compare(make_run(), saved(make_run(), False), whole, policy))
    assert {key: claim.limit for key, claim in found.items()} == {
        "margin": 0.02,
        "min_speedup": 2.0,
        "min_hit_rate": 0.9,
        "min_kv_hit_rate": 0.5,
        "max_accuracy_drop": 0.02,
        "max_slowdown": 0.5,
        "max_hit_rate_drop": 0.02,
        "max_recompute_rise": 0.02,
    }


def test_a_runner_that_the_baseline_lacks_is_not_compared(make_run: MakeRun, saved: Any, whole: Document) -> None:
    then = [record for record in make_run() if record.runner != "vlcache"]
    path = saved(then, True)
    assert {claim.runner for claim in compare(make_run(), path, whole).claims} == {"prefix-cache"}
    asked = Policy("mine.yaml", runners=("vlcache",), rules=(Rule({"max_slowdown": 0.5}),))
    claim = claims(compare(make_run(), path, whole, asked))["max_slowdown"]
    assert (claim.outcome, claim.reason) == ("undecided", "the baseline has no such runner on this workload")


def different(manifest: Document) -> dict[str, Document]:
    """The manifest changed in each way that matters."""
    changed = {kind: deepcopy(manifest) for kind in KINDS}
    changed["model"]["model"]["fingerprint"] = "f1"
    changed["workloads"]["workloads"]["binding"] = "def"
    changed["device"]["model"]["device_name"] = "another"
    changed["libraries"]["environment"]["libraries"]["torch"] = "2.12.0"
    changed["runners"]["runners"][0]["options"] = {"ratio": 0.2}
    return changed


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("model", "model differs (fingerprint was f1 and is f0)"),
        ("workloads", "workloads differ (binding was def and is abc)"),
        ("device", "device differs (device_name was another and is cpu)"),
        ("libraries", "libraries differ (torch was 2.12.0 and is 2.13.0)"),
        ("runners", "runners differ (vlcache.options.ratio was 0.2 and is not there)"),
    ],
)
def test_what_is_not_alike_is_refused_unless_it_may_differ(whole: Document, kind: str, what: str) -> None:
    baseline = Baseline("old.json", as_manifest(different(whole)[kind]), {}, None)
    with pytest.raises(UsageError) as caught:
        require_comparable(as_manifest(whole), baseline, [other for other in KINDS if other != kind])
    assert str(caught.value) == (
        f"cannot compare with old.json: {what}; measure the baseline again, or add --allow-different {kind}"
    )
    assert [difference.kind for difference in require_comparable(as_manifest(whole), baseline, [kind])] == [kind]


def test_all_that_differs_is_told_in_one_line(whole: Document) -> None:
    other = deepcopy(whole)
    other["model"] |= {"fingerprint": "f1", "device_name": "gpu", "cuda": "13"}
    other["environment"]["libraries"] = {f"library{number}": "1" for number in range(9)}
    with pytest.raises(UsageError) as caught:
        require_comparable(as_manifest(whole), Baseline("old.json", as_manifest(other), {}, None), [])
    told = str(caught.value)
    assert told.endswith("--allow-different model,device,libraries")
    assert "cuda was 13 and is not there" in told
    assert "and 8 more" in told
    assert "\n" not in told


def test_equal_runs_are_comparable(whole: Document) -> None:
    assert (
        require_comparable(as_manifest(whole), Baseline("old.json", as_manifest(deepcopy(whole)), {}, None), []) == []
    )


def test_an_added_workload_or_runner_is_a_difference(whole: Document) -> None:
    more = deepcopy(whole)
    more["workloads"]["video"] = "v0"
    more["runners"].append({"label": "new", "method": "vlcache", "lossless": False})
    found = require_comparable(
        as_manifest(more),
        Baseline("old.json", as_manifest(whole), {}, None),
        ["workloads", "runners"],
    )
    assert [str(difference) for difference in found] == [
        "video was not there and is v0",
        "new.method was not there and is vlcache",
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is not valid JSON: "),
        ("[" * 100_000, "is not valid JSON: "),
        ("[]", "is no summary of a run (must map names to values, not []): give what vlcache bench --json printed, or"),
        ('{"schema": 2, "manifest": {}, "summary": []}', "is no summary of a run (schema must be 1, not 2): "),
        ('{"schema": 1, "manifest": {}}', "is no summary of a run (summary is missing): "),
        ('{"schema": 1, "manifest": {}, "summary": []}', "the manifest of {path}: config is missing"),
        (
            '{"schema": 1, "manifest": {}, "summary": [{"runner": "a"}]}',
            "is no summary of a run (summary[0].workload is",
        ),
    ],
)
def test_files_that_are_no_summary_are_refused(tmp_path: Path, document: str, message: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(document)
    with pytest.raises(UsageError) as caught:
        read_baseline(path, MARGIN, ALPHA)
    assert str(caught.value).removeprefix(str(path)).strip().startswith(message.replace("{path}", str(path)))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"ttft_speedup": "fast"}, "summary[0].ttft_speedup must be a number, not 'fast'"),
        ({"accuracy_delta": float("inf")}, "summary[0].accuracy_delta must be a number, not inf"),
        ({"ttft_speedup": 1e300}, "ttft_speedup of full must be below 1e+12, not 1e+300"),
        ({"alpha": 0}, "alpha of full must be a number above 0 and below 1, not 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(make_run: MakeRun, saved: Any, wrong: dict[str, Any], named: str) -> None:
    path = saved(make_run(3), True)
    document = json.loads(path.read_text())
    document["summary"][0] |= wrong
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=re.escape(f"is no summary of a run ({named})")):
        read_baseline(path, MARGIN, ALPHA)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        read_baseline(tmp_path, MARGIN, ALPHA)
    with pytest.raises(UsageError, match=r"cannot read .*nowhere: No such file"):
        read_baseline(tmp_path / "nowhere", MARGIN, ALPHA)
