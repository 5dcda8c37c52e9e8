"""Write JSON documents: what ``--json`` of a command prints, and saved runs as a report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from reports.answers.answer import find_answers, find_overall
from reports.compare import compare
from reports.forms.form import Form, ReportOptions
from reports.run.manifest import Manifest
from reports.runs import Run
from reports.summary.flips import count_flips
from reports.summary.row import Row
from workloads.printable import json_printable

SCHEMA = 1


def summary_document(manifest: Manifest, summary: Sequence[Row], **parts: Any) -> str:
    """The document that ``--json`` prints: ``schema``, ``manifest``, ``summary``, and other ``parts`` behind."""
    return document(manifest=manifest.document, summary=[row.to_json() for row in summary], **parts)


def answers_document(rows: Sequence[Row], manifest: Manifest) -> dict[str, Any]:
    """What to do about each workload, by its name, and about all of them: null of one."""
    answers = find_answers(rows, manifest)
    overall = find_overall(answers, rows, manifest)
    by_workload = {answer.workload: {k: v for k, v in asdict(answer).items() if k != "workload"} for answer in answers}
    return {"workloads": by_workload, "overall": None if overall is None else asdict(overall)}


def report_document(runs: Sequence[Run]) -> str:
    """Of one run what ``--json`` prints, with ``notices``, ``flips`` and of a sweep ``sweep``.

    Of several runs ``runs`` holds each of them without ``schema``, and ``comparison`` what changed.
    """
    if len(runs) == 1:
        return document(**_run_parts(runs[0]))
    entries = [{"run": run.label, **_run_parts(run)} for run in runs]
    return document(runs=entries, comparison=asdict(compare(runs)))


def _run_parts(run: Run) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "manifest": run.manifest.document,
        "summary": [row.to_json() for row in run.rows],
        "notices": [asdict(notice) for notice in run.notices],
        "answers": answers_document(run.rows, run.manifest),
        "flips": [
            {"workload": workload, "runner": runner, **{kind.value: count for kind, count in counts.items()}}
            for (workload, runner), counts in count_flips(run.flips).items()
        ],
    }
    return parts | ({"sweep": run.trade_off.to_json()} if run.is_sweep else {})


def document(**parts: Any) -> str:
    """One JSON document of full precision with these ``parts``; what is not a finite number is null."""
    return json_printable(
        json.dumps(_finite({"schema": SCHEMA, **parts}), indent=2, ensure_ascii=False, allow_nan=False)
    )


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write(runs: Sequence[Run], options: ReportOptions) -> bytes:
    return f"{report_document(runs)}\n".encode()


FORM = Form(".json", _write)
