"""Draw the error map of a profile as charts of the page."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reports.html.chart import Chart, ChartGroup
from reports.pictures.error_map import brightest_of, draw_costs, draw_errors
from reports.pictures.svg import Drawing
from reports.pictures.theme import hexadecimal
from reports.profile import error_map
from reports.profile.heat_map import ErrorGrid, grids_of
from reports.profile.saved import Profile
from reports.profile.sensitivity import LayerCost
from reports.statistics.formatting import number
from reports.tables.table import Table

WIDTH, HEIGHT = 360, 220
MOST_COLUMNS = 1200  # of the picture; what is longer is averaged


def error_parts(profile: Profile, name: str) -> list[ChartGroup]:
    """One part with a map for each workload, and one with the cost of every layer."""
    grids = grids_of(profile.errors, MOST_COLUMNS)
    brightest = brightest_of({workload: grid.errors for workload, grid in grids.items()})
    charts = [
        Chart(f"{workload}: relative error of V", _draw_map(grid, brightest, f"{name}-errors-{workload}", workload))
        for workload, grid in sorted(grids.items())
    ]
    if profile.costs:
        charts.append(Chart("What staleness in one layer costs", _draw_costs(profile.costs, f"{name}-costs")))
    return [ChartGroup("by layer", charts, _numbers(profile))]


def _draw_map(grid: ErrorGrid, brightest: float, name: str, workload: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    panel = drawing.axes()
    image = draw_errors(panel, grid.errors, grid.borders, brightest)
    bar = drawing.figure.colorbar(image, ax=panel, fraction=0.05, pad=0.02)
    bar.ax.tick_params(color=hexadecimal("other"), labelcolor=hexadecimal("muted"), labelsize=11)
    bar.outline.set_visible(False)
    layers, columns = grid.errors.shape
    label = f"{workload}: mean relative error of V in {layers} layers and {columns} columns of tokens"
    return drawing.to_svg(name, f"{label}, from 0 to {brightest:.2g}")


def _draw_costs(costs: Sequence[LayerCost], name: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    marks = draw_costs(
        drawing.axes(),
        layers=[cost.layer for cost in costs],
        means=[cost.mean for cost in costs],
        lows=[cost.lower for cost in costs],
        highs=[cost.upper for cost in costs],
    )
    for mark, cost in zip(marks, costs, strict=True):
        drawing.tell(mark, f"layer {cost.layer}: {cost.mean:.3g} nats, {cost.lower:.3g} to {cost.upper:.3g}")
    worst = max(costs, key=lambda cost: cost.mean)
    return drawing.to_svg(name, f"Cost of staleness by layer with 95 % intervals; the costliest is layer {worst.layer}")


def _numbers(profile: Profile) -> Table:
    means = error_map.by_layer(profile.errors)
    costs = {cost.layer: cost for cost in profile.costs}
    lines = []
    for layer, row in means.iterrows():
        errors = (number(row[name], ".2f", 100) for name in ("relative_k", "relative_v"))
        cost = costs.get(int(str(layer)))
        ends = (cost.mean, cost.lower, cost.upper) if cost else (None, None, None)
        lines.append((str(layer), *errors, *(number(value, ".3g") for value in ends)))
    head = ("layer", "error of K, %", "error of V, %", "cost, nats", "from", "to")
    return Table.of_numbers("means by layer", head, lines)
