"""What a run under load measured: rates, goodput, time per token, end to end, and how late the client itself was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports.run.manifest import LoadDescription
from reports.statistics.intervals import mean_interval, percentile
from reports.statistics.slo import Slo

LATE_MS = 10.0
MOST_MISSED = 0.01
MOST_OF_CEILING = 0.5  # of what the client can send; above it, what it measures may be its own

LOAD_COLUMNS = (
    "throughput_rps",
    "goodput_rps",
    "slo_share",
    "slo_share_ci_low",
    "slo_share_ci_high",
    "e2e_ms_p50",
    "e2e_ms_p99",
    "client_lag_ms_p99",
    "client_late_share",
    "client_rate_error",
)


def load_values(mine: pd.DataFrame, slo: Slo | None, alpha: float) -> dict[str, Any]:
    """Compute the columns of a row that are about load; all but time per token are None where there was none.

    Args:
        mine: a runner's records of a workload, ``frame.FRAME_COLUMNS``.
    """
    answered = mine[mine["ok"] & mine["ttft_ms"].notna()]
    tpot = (answered["decode_ms"] / (answered["tokens"] - 1)).replace([np.inf, -np.inf], np.nan)
    values = dict.fromkeys(LOAD_COLUMNS) | {
        "tpot_ms_p50": percentile(tpot.dropna(), 50),
        "tpot_ms_p99": percentile(tpot.dropna(), 99),
    }
    sent = mine["load_due_ms"] + mine["load_lag_ms"]
    if sent.notna().sum() < 2:
        return values
    span_s = float((sent + mine["load_e2e_ms"]).max() - sent.min()) / 1e3
    due, lag = mine["load_due_ms"].dropna(), mine["load_lag_ms"].dropna()
    planned = float(due.max() - due.min())
    values |= {
        "throughput_rps": len(answered) / span_s if span_s > 0 else None,
        "e2e_ms_p50": percentile(answered["load_e2e_ms"], 50),
        "e2e_ms_p99": percentile(answered["load_e2e_ms"], 99),
        "client_lag_ms_p99": percentile(lag, 99),
        "client_late_share": float((lag > LATE_MS).mean()),
        "client_rate_error": abs(float(sent.max() - sent.min()) / planned - 1) if planned > 0 else None,
    }
    if slo is not None:
        kept = (mine["ok"] & (mine["ttft_ms"] <= slo.ttft_ms) & ~(tpot.reindex(mine.index) > slo.tpot_ms)).astype(float)
        ends = mean_interval(kept, mine["cluster_id"].tolist(), alpha)
        values |= {
            "goodput_rps": float(kept.sum()) / span_s if span_s > 0 else None,
            "slo_share": float(kept.mean()),
            "slo_share_ci_low": ends.low if ends else None,
            "slo_share_ci_high": ends.high if ends else None,
        }
    return values


def missed(values: dict[str, Any], load: LoadDescription | None) -> str | None:
    """Say why what was measured under load may be the client's own doing; None where it was not.

    Args:
        values: of a row, see ``load_values``.
    """
    late, error = values["client_late_share"], values["client_rate_error"]
    if load is None or late is None:
        return None
    asked = load.rate_of(values["runner"])
    if asked is not None and late > MOST_MISSED:
        return f"the client sent {100 * late:.1f} % of the requests more than {LATE_MS:g} ms late"
    if asked is not None and error is not None and error > MOST_MISSED:
        return f"the client was {100 * error:.1f} % off the rate that was asked for"
    rate = asked or values["throughput_rps"]
    if load.ceiling_rps is not None and rate is not None and rate > MOST_OF_CEILING * load.ceiling_rps:
        return f"the client itself can send {load.ceiling_rps:.0f} requests a second at most"
    return None
