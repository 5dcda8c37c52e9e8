"""What staleness in one layer alone costs: per request as a table, and the mean with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student_t

from reports.statistics.levels import DEFAULT_ALPHA
from runners.analysis.records import Observation

COLUMNS = ("workload", "request", "cluster_id", "layer", "kl")


@dataclass(frozen=True)
class LayerCost:
    """Mean KL of staleness in one layer, in nats; the ends of its 95 % interval are None where one cluster was seen."""

    layer: int
    mean: float
    low: float | None
    high: float | None

    @property
    def lower(self) -> float:
        """The lower end of the interval, or the mean where there is none."""
        return self.mean if self.low is None else self.low

    @property
    def upper(self) -> float:
        """The upper end of the interval, or the mean where there is none."""
        return self.mean if self.high is None else self.high


def to_frame(observations: Sequence[Observation]) -> pd.DataFrame:
    """One line for each request with stale tokens and layer; a cluster's name holds its workload's."""
    lines = [
        (item.workload, item.request, f"{item.workload}/{item.cluster_id}", layer, float(kl))
        for item in observations
        if item.staleness is not None
        for layer, kl in enumerate(item.staleness.kl)
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def layer_costs(frame: pd.DataFrame) -> list[LayerCost]:
    """The cost of every layer of a table made by ``to_frame``, by depth.

    The interval is Student's t on the cluster-robust standard error (Liang and Zeger, Biometrika 73, 1986) with one
    degree of freedom less than clusters; a KL is never below 0.
    """
    return [_cost(layer, part) for layer, (_, part) in enumerate(frame.groupby("layer", sort=True))]


def upper_ends(costs: Sequence[LayerCost]) -> list[float]:
    """What each layer may well cost. Where only one cluster was seen nobody knows: as much as any other, then."""
    most = max(cost.mean for cost in costs)
    return [most if cost.high is None else cost.high for cost in costs]


def _cost(layer: int, part: pd.DataFrame) -> LayerCost:
    values: NDArray[np.float64] = part["kl"].to_numpy(dtype=np.float64)
    mean = float(values.mean())
    together = (part["kl"] - mean).groupby(part["cluster_id"]).sum()
    clusters = len(together)
    if clusters < 2:
        return LayerCost(layer, mean, None, None)
    error = np.sqrt(clusters / (clusters - 1) * (together**2).sum()) / len(values)
    reach = float(student_t.ppf(1 - DEFAULT_ALPHA / 2, clusters - 1) * error)
    return LayerCost(layer, mean, max(0.0, mean - reach), mean + reach)
