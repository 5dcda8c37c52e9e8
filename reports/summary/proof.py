"""What the answers of a runner prove about it: verdict, bounds of the loss, and how many requests would decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from reports.run.manifest import Manifest
from reports.statistics.changes import Changes
from reports.statistics.levels import ONE_LOOK
from reports.statistics.needed import needed_to_decide
from reports.statistics.pairing import Paired
from reports.statistics.verdict import verdict_on
from reports.summary.exactness import EXACT, exactness

PROOF = (
    "verdict",
    "loss_at_most",
    "loss_at_least",
    "pooled_loss_at_most",
    "needed_separate",
    "needed_requests",
    "decided_requests",
    "decided_s",
    "differences",
    "first_difference",
)
"""Columns of ``Row``; all None of the reference, which is not judged, and of what nothing was compared."""


def proof_values(
    mine: pd.DataFrame, noise: pd.DataFrame, paired: Paired, manifest: Manifest, margin: float, alpha: float
) -> dict[str, Any]:
    """The columns ``PROOF`` of a runner on a workload.

    Lossless runners are no statistical question: see ``exactness``. The noise floor and runners for analysis only have
    no verdict. Of all others ``verdict_on`` is the rule.

    Args:
        mine: the runner's records of the workload, ``frame.FRAME_COLUMNS``.
        noise: those of the noise floor's runners.
    """
    label, values = str(mine["runner"].iloc[0]), dict.fromkeys(PROOF)
    if label == paired.reference:
        return values
    delta = paired.score_delta(label)
    changes = paired.changes(delta, label)
    bounds = changes.interval(2 * alpha)
    proven: dict[str, Any] = dict(values)
    if bounds is not None:
        proven |= {"loss_at_most": max(0.0, -bounds.low), "loss_at_least": max(0.0, -bounds.high)}
    if label in manifest.held_exact:
        found = exactness(mine, noise, manifest.model.dtype)
        if found is not None:
            proven |= {"verdict": found.verdict, "differences": found.differences, "first_difference": found.first}
            if found.verdict == EXACT and mine["ok"].all():
                proven |= {"loss_at_most": 0.0, "loss_at_least": 0.0}
    elif label not in (*manifest.noise_arms, *manifest.analysis_only):
        verdict = verdict_on(changes, margin, alpha)
        proven |= {"verdict": verdict}
        when = manifest.decision(str(mine["workload"].iloc[0]), label)
        if when is not None:
            proven |= {"decided_requests": when.requests, "decided_s": when.seconds}
        if verdict == "undecided":
            proven |= _needed(changes, len(mine), paired.grows(delta), margin, alpha)
    return proven


def pooled_loss(pairs: Sequence[Paired], label: str, alpha: float) -> float | None:
    """The largest loss of a runner, 0..1, that all workloads together leave possible; None where that is not known.

    It bounds the loss on requests mixed like those of the run, which may all come from one of the workloads. Unknown
    where what was seen decided how the workloads are mixed: of a run until decided, and of a runner that was followed
    up on some of them alone.

    Args:
        pairs: of each workload.
    """
    deltas = [paired.score_delta(label) for paired in pairs]
    shares = {paired.shares.get(label, ONE_LOOK) for paired in pairs}
    if any(paired.sequential for paired in pairs) or not all(len(delta) for delta in deltas) or len(shares) > 1:
        return None
    values = [float(value) for delta in deltas for value in delta]
    clusters = [
        f"{place}/{name}"
        for place, (paired, delta) in enumerate(zip(pairs, deltas, strict=True))
        for name in paired.clusters(delta)
    ]
    bounds = replace(Changes.of(values, clusters), shares=shares.pop()).interval(2 * alpha)
    return None if bounds is None else max(0.0, -bounds.low)


def _needed(changes: Changes, requests: int, grows: bool, margin: float, alpha: float) -> dict[str, int | None]:
    needed = needed_to_decide(changes, requests / changes.worth(alpha) if grows else None, margin, alpha)
    return {} if needed is None else {"needed_separate": needed.worth, "needed_requests": needed.requests}
