"""What was measured of a model, in rows: by layer, by place in the prompt and by group of probe layers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from reports.profile import error_map
from reports.profile.sensitivity import LayerCost
from runners.analysis.records import ProbeChoice
from workloads.printable import json_printable

SCHEMA = 1

Row = dict[str, Any]


def layer_rows(
    errors: pd.DataFrame, costs: Sequence[LayerCost], ratios: Sequence[float], probes: ProbeChoice | None
) -> list[Row]:
    """One row for each layer, what is undefined None.

    Args:
        errors: see ``error_map.COLUMNS``.
        ratios: the layer schedule at the budget.
    """
    means = error_map.by_layer(errors)
    repaired, recall = (probes.repaired, probes.recall) if probes is not None else ((), ())
    rows = []
    for cost, ratio in zip(costs, ratios, strict=True):
        row: Row = {"layer": cost.layer, "sensitivity": cost.mean}
        row |= {"sensitivity_ci_low": cost.low, "sensitivity_ci_high": cost.high}
        row |= {"ratio": ratio, "weight": ratio / ratios[0]}
        row |= {"probe_repaired": _at(repaired, cost.layer), "probe_recall": _at(recall, cost.layer)}
        row |= {name: _defined(means.at[cost.layer, name]) for name in ("relative_k", "relative_v", "cosine")}
        rows.append(row)
    return rows


def medium_rows(errors: pd.DataFrame) -> list[Row]:
    """One row for each medium of a prompt, the first one 1, with the mean relative error of V in each workload."""
    table = error_map.by_medium(errors)["relative_v"].unstack("workload").sort_index()
    errors_of = {str(name): [_defined(value) for value in table[name]] for name in table}
    return [
        {"medium": place + 1, **{name: column[place] for name, column in errors_of.items()}}
        for place in range(len(table))
    ]


def request_rows(errors: pd.DataFrame) -> list[Row]:
    """One row for each workload: how many warm requests there were, and their mean first-token KL."""
    each = errors.drop_duplicates(["workload", "request"]).groupby("workload", observed=True, sort=False)["kl"]
    return [{"workload": str(name), "requests": len(kl), "kl": float(kl.mean())} for name, kl in each]


def probe_rows(probes: ProbeChoice | None) -> list[Row]:
    """One row for each step of the selection of probe layers."""
    added = probes.added if probes is not None else ()
    return [
        {"layers": sorted(layer for layer, _ in added[: step + 1]), "repaired": repaired}
        for step, (_, repaired) in enumerate(added)
    ]


def to_json(settings: Mapping[str, Any], profile: Mapping[str, Any], **rows: Sequence[Row]) -> str:
    """One JSON document of full precision."""
    document = {"schema": SCHEMA, "settings": settings, "profile": profile, **rows}
    return json_printable(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def _at(values: Sequence[float | None], layer: int) -> float | None:
    return values[layer] if layer < len(values) else None


def _defined(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
