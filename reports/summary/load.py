"""What a run under load measured: rates, goodput, time per token, end to end, and how late the client itself was."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from reports.run.descriptions import LoadDescription
from reports.run.measurements import Measurements
from reports.statistics.intervals import percentile
from reports.statistics.serial import percentile_interval, serial_share_interval
from reports.statistics.slo import Slo

LATE_MS = 10.0
MOST_MISSED = 0.01
MOST_OF_CEILING = 0.5  # of what the client can send; above it, what it measures may be its own

RANKS = (50, 90, 99)
TIMES = ("ttft_ms", "tpot_ms", "e2e_ms")
PERCENTILES = tuple(f"{time}_p{rank}" for time in TIMES for rank in RANKS)
UNDER_LOAD = (
    "throughput_rps",
    "goodput_rps",
    "goodput_rps_ci_low",
    "goodput_rps_ci_high",
    "slo_share",
    "slo_share_ci_low",
    "slo_share_ci_high",
    *(f"{name}_ci_{end}" for name in PERCENTILES for end in ("low", "high")),
    *(f"e2e_ms_p{rank}" for rank in RANKS),
    "client_lag_ms_p99",
    "client_late_share",
    "client_rate_error",
)


def load_values(mine: pd.DataFrame, slo: Slo | None, alpha: float) -> dict[str, Any]:
    """Compute the columns of a row that are about load; all but time per token are None where there was none.

    Args:
        mine: a runner's records of a workload, ``frame.FRAME_COLUMNS``.
        slo: nothing is said of it where it limits the time per token, and the server does not tell tokens.
    """
    sent = mine["load_due_ms"] + mine["load_lag_ms"]
    mine = mine.iloc[np.argsort(sent.to_numpy(), kind="stable")]
    answered = mine[mine["ok"] & mine["ttft_ms"].notna()]
    tpot = answered["decode_ms"] / (answered["tokens"] - 1).where(answered["tokens"] > 1)
    values = dict.fromkeys(UNDER_LOAD) | {f"tpot_ms_p{rank}": percentile(tpot.dropna(), rank) for rank in RANKS}
    if sent.notna().sum() < 2:
        return values
    span_s = float((sent + mine["load_e2e_ms"]).max() - sent.min()) / 1e3
    due, lag = mine["load_due_ms"].dropna(), mine["load_lag_ms"].dropna()
    planned = float(due.max() - due.min())
    times = {"ttft_ms": answered["ttft_ms"], "tpot_ms": tpot.dropna(), "e2e_ms": answered["load_e2e_ms"]}
    for name, taken in times.items():
        values |= _intervals(name, taken, mine["cluster_id"], alpha)
    values |= {
        "throughput_rps": len(answered) / span_s if span_s > 0 else None,
        **{f"e2e_ms_p{rank}": percentile(answered["load_e2e_ms"], rank) for rank in RANKS},
        "client_lag_ms_p99": percentile(lag, 99),
        "client_late_share": float((lag > LATE_MS).mean()),
        "client_rate_error": abs(float(sent.max() - sent.min()) / planned - 1) if planned > 0 else None,
    }
    knows_all = slo is None or slo.tpot_ms == np.inf or bool(answered["tokens"].notna().all())
    if slo is not None and knows_all:
        kept = (mine["ok"] & (mine["ttft_ms"] <= slo.ttft_ms) & ~(tpot.reindex(mine.index) > slo.tpot_ms)).astype(float)
        ends = serial_share_interval(kept, mine["cluster_id"].tolist(), alpha)
        values |= {
            "goodput_rps": float(kept.sum()) / span_s if span_s > 0 else None,
            "goodput_rps_ci_low": ends.low * len(mine) / span_s if ends and span_s > 0 else None,
            "goodput_rps_ci_high": ends.high * len(mine) / span_s if ends and span_s > 0 else None,
            "slo_share": float(kept.mean()),
            "slo_share_ci_low": ends.low if ends else None,
            "slo_share_ci_high": ends.high if ends else None,
        }
    return values


def _intervals(name: str, values: pd.Series[float], clusters: pd.Series[str], alpha: float) -> dict[str, float | None]:
    """Ends of the intervals of percentiles, by the columns of ``Row``; None where a percentile has no such bound."""
    found: dict[str, float | None] = {}
    for rank in RANKS:
        ends = percentile_interval(values, rank, clusters.loc[values.index].tolist(), alpha)
        for end in ("low", "high"):
            bound = None if ends is None else getattr(ends, end)
            found[f"{name}_p{rank}_ci_{end}"] = bound if bound is not None and isfinite(bound) else None
    return found


def missed(values: dict[str, Any], load: LoadDescription | None) -> str | None:
    """Say why what was measured under load may be the client's own doing; None where it was not.

    Args:
        values: of a row, see ``load_values``.
    """
    late, error = values["client_late_share"], values["client_rate_error"]
    if load is None or late is None:
        return None
    asked, is_open = load.rate_of(values["runner"]), load.concurrency is None
    if is_open and late > MOST_MISSED:
        return f"the client sent {100 * late:.1f} % of the requests more than {LATE_MS:g} ms late"
    if is_open and error is not None and error > MOST_MISSED:
        return f"the client was {100 * error:.1f} % off the rate that was asked for"
    rate = asked or values["throughput_rps"]
    if load.ceiling_rps is not None and rate is not None and rate > MOST_OF_CEILING * load.ceiling_rps:
        return f"the client itself can send {load.ceiling_rps:.0f} requests a second at most"
    return None


def client_bound(run: Measurements) -> dict[tuple[str, str], str]:
    """Say why a verdict or a time would be the client's own doing, by workload and runner; see ``missed``.

    What is compared with a reference that the client was late for is not shown either.
    """
    load, reference = run.manifest.load, run.manifest.reference
    if load is None:
        return {}
    found: dict[tuple[str, str], str] = {}
    for (workload, runner), mine in run.frame.groupby(["workload", "runner"]):
        reason = missed(load_values(mine, None, 0.05) | {"runner": runner}, load)
        if reason is not None:
            found[str(workload), str(runner)] = reason
    for workload in run.manifest.workloads:
        reason = found.get((workload, reference))
        if reason is not None:
            found |= {
                (workload, label): f"of the reference, {reason}" for label in run.manifest.labels if label != reference
            }
    return found
