"""Print what was measured of a model as tables for people, the legend beneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from reports.statistics.formatting import UNDEFINED
from reports.tables import screen
from reports.tables.cells import one_line
from reports.tables.table import Table, TableColumn

Row = Mapping[str, Any]


def render(
    requests: Sequence[Row], layers: Sequence[Row], media: Sequence[Row], probes: Sequence[Row], budget: float
) -> Group:
    """The rows of ``profile_summary``, readable at ``screen.WIDTH`` characters."""
    columns = (("workload", "workload", ""), ("requests", "requests", "d"), ("KL, nats", "kl", ".3g"))
    parts = [
        *screen.section(_table("warm requests", requests, columns)),
        *screen.section(_layers(layers)),
        *screen.section(_media(media)),
        *_probes(probes),
        _legend(budget),
    ]
    return Group(*parts)


def _layers(rows: Sequence[Row]) -> Table:
    with_interval = [{**row, "interval": _interval(row)} for row in rows]
    columns = (
        ("layer", "layer", "d"),
        ("sensitivity\nnats", "sensitivity", ".3g"),
        ("\n95 %", "interval", ""),
        ("ratio at\nthe budget", "ratio", ".4f"),
        ("weight\n", "weight", ".3f"),
        ("probe:\nrepaired", "probe_repaired", ".1%"),
        ("probe:\nrecall", "probe_recall", ".1%"),
        ("error\nof K", "relative_k", ".2%"),
        ("error\nof V", "relative_v", ".2%"),
        ("cosine of\nstates", "cosine", ".4f"),
    )
    return _table("by layer", with_interval, columns)


def _media(rows: Sequence[Row]) -> Table:
    workloads = [name for name in rows[0] if name != "medium"] if rows else []
    columns = (("medium", "medium", "d"), *((name, name, ".2%") for name in workloads))
    return _table("error of V by medium", rows, columns)


def _probes(rows: Sequence[Row]) -> list[RenderableType]:
    if not rows:
        nothing = Text("reuse cost nothing here: there is nothing for a probe to find")
        return [screen.heading("probe layers"), nothing]
    joined = [{**row, "layers": "+".join(map(str, row["layers"]))} for row in rows]
    return screen.section(_table("probe layers", joined, (("layers", "layers", ""), ("repaired", "repaired", ".1%"))))


def _legend(budget: float) -> Text:
    lines = (
        "sensitivity: first-token KL when this layer alone sees the stored K, V of reused media, mean over requests",
        f"ratio at the budget: share of the reused tokens to recompute, {budget:g} in the mean, by the upper ends",
        "weight: the same as kept in the profile",
        f"probe repaired: share of the KL of reuse that goes when this layer's drift picks {budget:g} of the tokens",
        "probe recall: true deviation of the tokens it picks, weighted with what it costs, relative to the best pick",
        "error: norm of the difference to full recomputation, relative to the true norm; K after RoPE",
        "cosine of states: hidden state before the layer and the true one; of a reused token that of its donor",
        "probe layers: how the set grew; kept are the last line's and the default ones (others bind elsewhere)",
        f"{UNDEFINED}: undefined, or too little was seen to say",
    )
    return Text("\n" + "\n".join(lines), style="dim")


def _table(title: str, rows: Sequence[Row], columns: Sequence[tuple[str, str, str]]) -> Table:
    """Columns are a title, the key in the rows, and the format specification, empty for texts."""
    return Table(
        title=title,
        columns=[TableColumn(one_line(name), name, right=bool(spec)) for name, _, spec in columns],
        rows=[[_cell(row[key], spec) for _, key, spec in columns] for row in rows],
    )


def _cell(value: Any, spec: str) -> str:
    if value is None:
        return UNDEFINED
    return format(value, spec)


def _interval(row: Row) -> str | None:
    low, high = row["sensitivity_ci_low"], row["sensitivity_ci_high"]
    return None if low is None else f"[{low:.3g}, {high:.3g}]"
