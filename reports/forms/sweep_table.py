"""The result of a sweep as tables: one per workload with knees, recommendation and cautions, the legend beneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.forms.table import heading, legend, warnings
from reports.statistics.shown import UNDEFINED
from reports.summary.notice import Notice
from reports.summary.row import COLUMNS, Row
from reports.sweep.pareto import Knee, Point
from reports.sweep.recommend import Recommendation
from reports.sweep.trade_off import TradeOff
from reports.tables.cells import cell

LABEL_WIDTH = 22
MEASURED = (
    "recompute_ratio",
    "executed_flops_ratio",
    "accuracy",
    "accuracy_delta",
    "verdict",
    "agreement",
    "ttft_speedup",
)
SHOWN = tuple(column for name in MEASURED for column in COLUMNS if column.name == name)
OPTIMAL, CHOSEN = "P", "R"
LEGEND = (
    f"{OPTIMAL}: no other runner is as accurate and as fast, and better in one; {CHOSEN}: recommended",
    "ratio set: what the runner was told; curves and knees go by what it computed",
    "knee: where accuracy over what was computed bends most, as measured; no test is behind it",
    "recommended: the fastest that is non-inferior, for all workloads the one whose lowest speed-up is highest;",
    "it was chosen from many: confirm it with another --seed",
)


def render(found: TradeOff, notices: Sequence[Notice]) -> Group:
    """Tables in the order of the points. Readable at ``tables.WIDTH`` characters."""
    parts: list[RenderableType] = []
    for workload, choice in found.recommended.items():
        rows = {row.runner: row for row in found.rows if row.workload == workload}
        parts += [heading(list(rows.values())), _table(found.of(workload), rows, choice), Text()]
        parts += [_knees(found.knees[workload]), _choice(f"recommended for {workload}", choice)]
        parts += warnings([*notices, *found.cautions], workload)
    if len(found.recommended) > 1:
        parts += [Text(), _choice("recommended for all workloads", found.recommended_overall)]
    parts += [legend(found.margin, found.alpha, SHOWN), Text("\n".join(LEGEND), style="dim")]
    return Group(*parts)


def _table(points: Sequence[Point], rows: Mapping[str, Row], choice: Recommendation) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("runner", overflow="fold", max_width=LABEL_WIDTH)
    table.add_column("ratio\nset", justify="right", no_wrap=True)
    for column in SHOWN:
        table.add_column(column.title, justify="right" if column.unit else "left", no_wrap=True)
    for point in points:
        chosen = point.runner == choice.runner
        marks = OPTIMAL * point.optimal + CHOSEN * chosen
        ratio = UNDEFINED if point.ratio is None else f"{point.ratio:g}"
        family = f"{point.family} *" if point.is_reference else point.family
        told = (marks, family, ratio, *(cell(column, rows[point.runner]) for column in SHOWN))
        table.add_row(*map(Text, told), style="bold" if chosen else None)
    return table


def _knees(knees: Mapping[str, Knee | None]) -> Text:
    told = [f"{family} {_knee(knee)}" for family, knee in knees.items()]
    return Text(f"knees: {', '.join(told) or UNDEFINED}")


def _knee(knee: Knee | None) -> str:
    if knee is None:
        return "none"
    return f"{knee.ratio:g} ({knee.recompute_ratio:.1%} computed, {knee.accuracy:.1%} accurate)"


def _choice(title: str, choice: Recommendation) -> Text:
    if choice.runner is None:
        return Text(f"{title}: none; {choice.reason}")
    return Text(f"{title}: {choice.runner}, {choice.ttft_speedup:.2f} times as fast; {choice.reason}", style="bold")
