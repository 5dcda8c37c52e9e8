"""Saved runs as one JSON document: of one run what ``--json`` prints, of several a list, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from reports.compare import compare
from reports.forms.json_document import document
from reports.runs import Run
from reports.summary.flips import count_flips


def to_json(runs: Sequence[Run]) -> str:
    """``manifest``, ``summary``, ``notices``, ``flips`` and of a sweep ``sweep``; of several runs ``runs`` of these."""
    if len(runs) == 1:
        return document(**_run(runs[0]))
    told = [{"run": run.label, **_run(run)} for run in runs]
    return document(runs=told, comparison=asdict(compare(runs)))


def _run(run: Run) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "manifest": run.manifest.document,
        "summary": [row.to_json() for row in run.rows],
        "notices": [asdict(notice) for notice in run.notices],
        "flips": [
            {"workload": workload, "runner": runner, **{kind.value: count for kind, count in counts.items()}}
            for (workload, runner), counts in count_flips(run.flips).items()
        ],
    }
    return parts | ({"sweep": run.trade_off.to_json()} if run.is_sweep else {})
