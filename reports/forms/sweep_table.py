"""Print the result of a sweep as tables: one per workload with knees, recommendation and cautions, then the legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.text import Text

from reports.forms.table import detail_sections, legend
from reports.statistics.formatting import UNDEFINED
from reports.summary.notice import Notice
from reports.summary.row import COLUMNS, Row
from reports.sweep.knees import Knee
from reports.sweep.pareto import Point
from reports.sweep.recommend import Recommendation
from reports.sweep.trade_off import TradeOff
from reports.tables import screen
from reports.tables.cells import cell
from reports.tables.details import legend_columns
from reports.tables.summary import about, notes_on, table_column
from reports.tables.table import Table, TableColumn

LABEL_WIDTH = 22
MEASURED_NAMES = (
    "recompute_ratio",
    "executed_flops_ratio",
    "accuracy",
    "accuracy_delta",
    "verdict",
    "agreement",
    "ttft_speedup",
)
MEASURED = tuple(column for name in MEASURED_NAMES for column in COLUMNS if column.name == name)
OPTIMAL, CHOSEN = "P", "R"
LEGEND = (
    f"{OPTIMAL}: no other runner is as accurate and as fast, and better in one; {CHOSEN}: recommended",
    "ratio set: what the runner was told; curves and knees go by what it computed",
    "knee: where accuracy over what was computed bends most, as measured; no test is behind it",
    "recommended: the fastest that is non-inferior, for all workloads the one whose lowest speed-up is highest;",
    "it was chosen from many: confirm it with another --seed",
)


def render(trade_off: TradeOff, notices: Sequence[Notice]) -> Group:
    """Tables in the order of the points. Readable at ``screen.WIDTH`` characters."""
    parts: list[RenderableType] = []
    for workload, choice in trade_off.recommended.items():
        rows = {row.runner: row for row in trade_off.rows if row.workload == workload}
        table = _table(trade_off.of(workload), rows, choice)
        noted = replace(table, notes=notes_on(workload, [*notices, *trade_off.cautions]))
        parts += [screen.heading(table.title, table.about), screen.grid(table), Text()]
        parts += [_knees(trade_off.knees[workload]), _choice(f"recommended for {workload}", choice)]
        parts += screen.notes(noted)
    if len(trade_off.recommended) > 1:
        parts += [Text(), _choice("recommended for all workloads", trade_off.recommended_overall)]
    parts += detail_sections(trade_off.rows)
    columns = legend_columns(trade_off.rows, MEASURED)
    parts += [legend(trade_off.margin, trade_off.alpha, columns), Text("\n".join(LEGEND), style="dim")]
    return Group(*parts)


def _table(points: Sequence[Point], rows: Mapping[str, Row], choice: Recommendation) -> Table:
    first = next(iter(rows.values()))
    return Table(
        title=first.workload,
        columns=[
            TableColumn("", wrap=False),
            TableColumn("runner", max_width=LABEL_WIDTH),
            TableColumn("ratio set", "ratio\nset", right=True, wrap=False),
            *(replace(table_column(column), wrap=False) for column in MEASURED),
        ],
        rows=[_cells(point, rows[point.runner], point.runner == choice.runner) for point in points],
        about=about(first),
        emphasised=frozenset(place for place, point in enumerate(points) if point.runner == choice.runner),
    )


def _cells(point: Point, row: Row, chosen: bool) -> list[str]:
    marks = OPTIMAL * point.optimal + CHOSEN * chosen
    ratio = UNDEFINED if point.ratio is None else f"{point.ratio:g}"
    family = f"{point.family} *" if point.is_reference else point.family
    return [marks, family, ratio, *(cell(column, row) for column in MEASURED)]


def _knees(knees: Mapping[str, Knee | None]) -> Text:
    described = [f"{family} {_knee(knee)}" for family, knee in knees.items()]
    return Text(f"knees: {', '.join(described) or UNDEFINED}")


def _knee(knee: Knee | None) -> str:
    if knee is None:
        return "none"
    return f"{knee.ratio:g} ({knee.recompute_ratio:.1%} computed, {knee.accuracy:.1%} accurate)"


def _choice(title: str, choice: Recommendation) -> Text:
    if choice.runner is None:
        return Text(f"{title}: none; {choice.reason}")
    return Text(f"{title}: {choice.runner}, {choice.ttft_speedup:.2f} times as fast; {choice.reason}", style="bold")
