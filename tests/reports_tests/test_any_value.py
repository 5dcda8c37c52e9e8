"""Whatever stands in a file of a run, a policy, a summary or a profile: it is read, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.gate.baseline import read_baseline
from reports.gate.gate import judge_folder
from reports.gate.policy_file import read_policy
from reports.run.changed_answers import FILE, read_changed_answers
from reports.run.manifest import Manifest
from reports.run.store import MANIFEST, RECORDS, RunFolder
from reports.runs import read_runs
from runners.profile import read_profile
from runners.records import CacheStats, ComputedMedium, Demand, Record, Repair, Status, Timing, Warmth
from vlcache_cli.app import main
from workloads.errors import UsageError

Path_ = tuple[str | int, ...]
Document = Any

HUGE = 10**400
ODD_NUMBERS = st.sampled_from([0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**30, HUGE, 0.0, -0.0, 0.5, 5e-324, 1e308])
ODD_TEXTS = st.sampled_from(["", " ", "\x1b[2J", "a\nb", "\ud800", "\u202e", "full", "..", "0*9999999999", "x" * 9000])
LEAVES = st.none() | st.booleans() | ODD_NUMBERS | st.integers() | st.floats() | ODD_TEXTS | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FORMS = ["table", "json", "md", "csv"]
DEEP = "[" * 100_000 + "]" * 100_000


def record(request: str, runner: str) -> Record:
    """A record with every part."""
    return Record(
        key=f"w/{request}/{runner}",
        workload="w",
        request=request,
        runner=runner,
        cluster_id=request,
        family="f",
        order=0,
        warmth=Warmth.WARM,
        recurring_media=1,
        content_share=0.5,
        status=Status.OK,
        error=None,
        answer="yes",
        gold=("yes",),
        token_ids=(5,),
        score=1.0,
        kl=0.0,
        agrees=True,
        timing=Timing(9.0, *[1.0] * 9),
        cache=CacheStats(1, 1, 1, 1, 9, 4, 0, 8, 8, 2, 1e6, 1e6, 64, 8.0),
        computed=(ComputedMedium(1, 2, 2, "2*4"),),
        demand=Demand(*[1e6] * 7),
        peak_bytes=10,
        repair=Repair(0.5, 0.1),
    )


MANIFEST_DOCUMENT: Document = {
    "schema": 1,
    "created": "2026-01-02T03:04:05+00:00",
    "config": {"reference": "full", "seed": 7, "workload": ["w"]},
    "seed": 7,
    "workloads": {"w": "b" * 64},
    "model": {
        "name": "builtin",
        "fingerprint": "f",
        "dtype": "float32",
        "device": "cpu",
        "threads": 1,
        "random_weights": False,
        "ceilings": {"flops_per_s": 1e12, "bytes_per_s": 1e11, "host_bytes_per_s": 1e10},
        "profile": {"risk": {"families": ["w"], "requests": 9, "promises": [{"risk": 0.1, "threshold": 0.2}]}},
    },
    "runners": [
        {"label": "full", "method": "full", "lossless": True, "options": {"donor": "previous"}},
        {"label": "vlcache", "method": "vlcache", "lossless": False, "promised_risk": 0.1, "analysis_only": False},
    ],
    "environment": {"python": "3", "cpus": 2, "libraries": {"torch": "2"}, "git_commit": None},
    "sweep": {"ratios": [0.0], "runners": {"full": {"family": "full", "ratio": None}, "vlcache": {"family": "v"}}},
    "verdict": {"margin": 0.02, "alpha": 0.05},
}
RECORDS_DOCUMENT: Document = [record(f"q{n}", runner).to_json() for n in range(2) for runner in ("full", "vlcache")]
ASKED_DOCUMENT: Document = {
    "workload": "w",
    "request": "q0",
    "question": "?",
    "media": [{"kind": "image", "name": "x", "file": "0" * 32}],
    "answer_begins": "",
}
POLICY_DOCUMENT: Document = {
    "alpha": 0.05,
    "workloads": ["w"],
    "runners": "vlcache",
    "rules": [{"workload": "w", "runner": "*", "margin": 0.02, "min-speedup": 1.5, "max_flip_rate": None}],
}
PROFILE_DOCUMENT: Document = {
    "probe_layers": [0, 1],
    "sensitivity": [0.1, 0.2, 0.3, 0.4],
    "layer_weights": [1.0, 0.5, 0.5, 0.1],
    "risk": {
        "signals": ["a"],
        "low": [0.0],
        "high": [1.0],
        "centre": [0.5],
        "scale": [1.0],
        "levels": [{"share": 0.0, "weights": [1.0], "intercept": 0.0}],
        "promises": [{"risk": 0.1, "threshold": 0.2, "changed": 1, "bound": 0.1, "computed": 0.5}],
        "families": ["w"],
        "requests": 9,
        "confidence": 0.95,
    },
}


def places(document: Document, here: Path_ = ()) -> Iterator[Path_]:
    """The place of every value in a document, its own included."""
    yield here
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document if isinstance(document, list) else [])
    )
    for key, value in inner:
        yield from places(value, (*here, key))


def changed(document: Document, place: Path_, value: Document) -> Document:
    """A copy with another value in a place."""
    if not place:
        return value
    copy = deepcopy(document)
    at = copy
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return copy


def with_any_value(document: Document) -> st.SearchStrategy[Document]:
    """The document with any value in any of its fields, a field more or a field less."""
    anywhere = st.sampled_from([*places(document)])
    return st.builds(lambda place, value: changed(document, place, value), anywhere, VALUES)


def refused_in_one_line(read: Callable[[], object]) -> UsageError | None:
    """The refusal, if it is one: nothing else may be raised."""
    try:
        read()
    except UsageError as error:
        line = str(error)
        assert line.isprintable(), line
        assert 10 < len(line) < 2_000
        return error
    return None


def as_json(document: Document) -> bytes:
    return json.dumps(document).encode()


def files_of(folder: Path, manifest: bytes, records: bytes) -> None:
    (folder / MANIFEST).write_bytes(manifest)
    (folder / RECORDS).write_bytes(records)


def as_lines(records: Document) -> bytes:
    return b"".join(as_json(each) + b"\n" for each in records)


@cache
def summary() -> Document:
    """What ``--json`` prints of the run, as a baseline."""
    from reports.forms.json import summary_document

    with TemporaryDirectory() as folder:
        files_of(Path(folder), as_json(MANIFEST_DOCUMENT), as_lines(RECORDS_DOCUMENT))
        (run,) = read_runs([Path(folder)], 0.02, 0.05)
        document: Document = json.loads(summary_document(run.manifest, run.rows))
    return document


@settings(max_examples=250)
@given(with_any_value(RECORDS_DOCUMENT[1]))
def test_any_record_is_read_or_refused(document: Document) -> None:
    refused_in_one_line(lambda: Record.read(as_json(document)))


@settings(max_examples=250)
@given(with_any_value(MANIFEST_DOCUMENT))
def test_any_manifest_is_read_or_refused(document: Document) -> None:
    with TemporaryDirectory() as folder:
        files_of(Path(folder), as_json(document), b"")
        refused_in_one_line(lambda: RunFolder(Path(folder)).read())


@settings(max_examples=100)
@given(with_any_value(ASKED_DOCUMENT))
def test_any_changed_answer_is_read_or_refused(document: Document) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_bytes(as_json(document) + b"\n")
        refused_in_one_line(lambda: read_changed_answers(Path(folder)))


@settings(max_examples=150)
@given(with_any_value(POLICY_DOCUMENT))
def test_any_policy_is_read_or_refused(document: Document) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "policy.yaml"
        file.write_bytes(as_json(document))  # JSON is YAML, but for a few characters
        refused_in_one_line(lambda: read_policy(file))


@settings(max_examples=100)
@given(st.data())
def test_any_summary_is_read_or_refused(data: st.DataObject) -> None:
    document = data.draw(with_any_value(summary()))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "baseline.json"
        file.write_bytes(as_json(document))
        refused_in_one_line(lambda: read_baseline(file, 0.02, 0.05))


@settings(max_examples=150)
@given(with_any_value(PROFILE_DOCUMENT))
def test_any_profile_is_read_or_refused(document: Document) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "vlcache.yaml"
        file.write_bytes(as_json(document))
        refused_in_one_line(lambda: read_profile(file, 4))


@settings(max_examples=60)
@given(with_any_value(RECORDS_DOCUMENT), st.none() | with_any_value(MANIFEST_DOCUMENT))
def test_what_is_read_is_judged_and_summarised(records: Document, manifest: Document) -> None:
    lines = as_lines(records) if isinstance(records, list) else as_json(records)
    with TemporaryDirectory() as folder:
        files_of(Path(folder), as_json(manifest or MANIFEST_DOCUMENT), lines)
        refused_in_one_line(lambda: read_runs([Path(folder)], 0.02, 0.05))
        refused_in_one_line(lambda: judge_folder(Path(folder), None, None, ()))


@settings(max_examples=12)
@given(
    with_any_value(RECORDS_DOCUMENT), with_any_value(MANIFEST_DOCUMENT), st.sampled_from(["table", "json", "md", "csv"])
)
def test_commands_never_break_down(records: Document, manifest: Document, form: str) -> None:
    lines = as_lines(records) if isinstance(records, list) else as_json(records)
    with TemporaryDirectory() as folder:
        for told, kept in ((MANIFEST_DOCUMENT, lines), (manifest, as_lines(RECORDS_DOCUMENT))):
            files_of(Path(folder), as_json(told), kept)
            assert main(["report", folder, "--format", form]) in (0, 2)
            assert main(["gate", folder, "--json"]) in (0, 1, 2, 3, 4)


@pytest.mark.parametrize("text", [DEEP, '{"a": ' * 900 + "1" + "}" * 900, "[NaN]", '{"schema": 1e999}', "9" * 9_000])
def test_what_python_would_stumble_over_is_one_line(tmp_path: Path, text: str) -> None:
    for document in (text.encode(), b'{"schema": 1, "added": ' + text.encode() + b"}"):
        files_of(tmp_path, document, b"")
        assert refused_in_one_line(lambda: RunFolder(tmp_path).read())
        files_of(tmp_path, as_json(MANIFEST_DOCUMENT), document + b"\n" + as_lines(RECORDS_DOCUMENT))
        assert refused_in_one_line(lambda: RunFolder(tmp_path).read())
        (tmp_path / FILE).write_bytes(document + b"\n")
        assert refused_in_one_line(lambda: read_changed_answers(tmp_path))
    file = tmp_path / "file"
    file.write_text(text)
    assert refused_in_one_line(lambda: read_policy(file))
    assert refused_in_one_line(lambda: read_baseline(file, 0.02, 0.05))
    assert refused_in_one_line(lambda: read_profile(file, 4))


def test_counts_of_names_are_bounded(tmp_path: Path) -> None:
    runners = [{"label": f"r{number}", "method": "full", "lossless": True} for number in range(20_000)]
    with pytest.raises(UsageError, match="names 20000 runners, and no run has more than 1000"):
        Manifest.check(MANIFEST_DOCUMENT | {"runners": runners}, tmp_path)
    with pytest.raises(UsageError, match="names two runners alike"):
        Manifest.check(MANIFEST_DOCUMENT | {"runners": runners[:1] * 2}, tmp_path)
