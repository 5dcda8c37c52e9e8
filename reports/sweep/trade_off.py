"""The result of a sweep: its points, knees and recommendations, and what should not be overlooked in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.statistics.falls import falls
from reports.summary.notice import Notice, NoticeKind
from reports.summary.row import Row
from reports.sweep.knees import Knee, find_knees
from reports.sweep.pareto import Point, find_points, grouped
from reports.sweep.recommend import Recommendation, recommend


@dataclass(frozen=True)
class TradeOff:
    """What a sweep found.

    Attributes:
        margin: a loss of accuracy as large as this is too much.
        alpha: intervals have the confidence 1 - alpha.
        knees: by workload and family; None where a curve has none.
        recommended: by workload.
        recommended_overall: for all workloads at once.
    """

    reference: str
    margin: float
    alpha: float
    rows: Sequence[Row]
    points: Sequence[Point]
    knees: Mapping[str, Mapping[str, Knee | None]]
    recommended: Mapping[str, Recommendation]
    recommended_overall: Recommendation
    cautions: Sequence[Notice]

    def of(self, workload: str) -> list[Point]:
        """The points of a workload, in order."""
        return [point for point in self.points if point.workload == workload]

    def to_json(self) -> dict[str, Any]:
        """The part of the document that ``--json`` prints beside manifest and summary."""
        return {
            "points": [asdict(point) for point in self.points],
            "knees": {
                workload: {family: knee and asdict(knee) for family, knee in knees.items()}
                for workload, knees in self.knees.items()
            },
            "recommended": {
                "workloads": {workload: asdict(choice) for workload, choice in self.recommended.items()},
                "all": asdict(self.recommended_overall),
            },
            "cautions": [asdict(caution) for caution in self.cautions],
        }


def analyse(rows: Sequence[Row], run: Measurements, margin: float, alpha: float) -> TradeOff:
    """Everything that a sweep shows, from its summary and what it measured."""
    points = find_points(rows, run.manifest)
    by_workload = {workload[0].workload: workload for workload in grouped(points, "workload")}
    return TradeOff(
        reference=run.manifest.reference,
        margin=margin,
        alpha=alpha,
        rows=rows,
        points=points,
        knees=find_knees(points),
        recommended={name: recommend(workload, margin) for name, workload in by_workload.items()},
        recommended_overall=recommend(points, margin),
        cautions=[
            *_inexact(points, run.manifest),
            *_falling(points, run.frame, alpha),
        ],
    )


def _inexact(points: Sequence[Point], manifest: Manifest) -> Iterator[Notice]:
    """Runners that compute everything, in float32, and still answer differently; not those that may compute less."""
    capped = {runner.label for runner in manifest.runners if runner.promised_risk is not None}
    for point in points:
        everything = point.ratio == 1 and point.runner not in capped and manifest.model.dtype == "float32"
        if everything and point.agreement is not None and point.agreement < 1:
            yield Notice(
                NoticeKind.INEXACT,
                point.workload,
                point.runner,
                f"{point.runner} answers like the reference in {point.agreement:.1%} of the requests "
                "although its ratio is 1",
                "computing everything should change no answer: are positions misaligned?",
            )


def _falling(points: Sequence[Point], frame: pd.DataFrame, alpha: float) -> Iterator[Notice]:
    """The deepest fall of each family whose accuracy falls although more is computed; all curves share ``alpha``."""
    curves = [
        curve for workload in grouped(points, "workload") for curve in grouped(workload, "family") if len(curve) > 1
    ]
    for curve in curves:
        workload, family = curve[0].workload, curve[0].family
        records = frame[frame["workload"] == workload]
        labels = {point.runner: point.ratio for point in curve}
        scores = records[records["runner"].isin(labels)].pivot(index="request", columns="runner", values="score")
        scores = scores[list(labels)].rename(columns=labels).dropna()
        clusters = records.drop_duplicates("request").set_index("request")["cluster_id"].loc[scores.index].tolist()
        significant = falls(scores, clusters, alpha / len(curves))
        for fall in sorted(significant, key=lambda fall: -fall.drop)[:1]:
            chance = min(1.0, fall.p_adjusted * len(curves))
            yield Notice(
                NoticeKind.FALLING,
                workload,
                family,
                f"accuracy of {family} falls by {fall.drop * 100:.1f} points from ratio {fall.low_ratio:g} to "
                f"{fall.high_ratio:g} (p = {chance:.2g})",
                "computing more should not hurt: are positions misaligned?",
            )
