"""What a method that estimates its risk decided in warm requests, and whether its promise was kept."""

from __future__ import annotations

from typing import Any

import pandas as pd

from reports.statistics.binomial import share_interval
from reports.statistics.levels import ONE_LOOK, AlphaShares
from reports.statistics.pairing import defined
from runners.records import Warmth


def repair_values(
    mine: pd.DataFrame,
    promised: float | None,
    threshold: float | None,
    calibration: str | None,
    alpha: float,
    shares: AlphaShares = ONE_LOOK,
) -> dict[str, Any]:
    """Compute the columns of a row that are about repair; all but the computed share are None of other methods.

    Args:
        promised: share of answers that the runner may change; None where it promises nothing.
        threshold: largest estimate with which it reuses something; None where that is not known.
        calibration: what the model was calibrated on, in words; None where it was not.
        shares: of alpha, that bounds of the runner's changes may err by, see ``Changes``.
    """
    warm = mine[(mine["warmth"] == Warmth.WARM.value) & mine["ok"]]
    computed = defined(warm["computed_token_layers"] / (warm["vision_tokens"] * warm["layers"]))
    chosen = decided(mine)
    values: dict[str, Any] = {
        "recompute_ratio_p90": None if computed.empty else float(computed.quantile(0.9)),
        "kept_share": None,
        "repaired_share": None,
        "recomputed_share": None,
        "unlike_share": None,
        "skipped_share": None,
        "doubt_share": None,
        "risk_predicted": None,
        "risk_found": None,
        "risk_found_ci_low": None,
        "risk_found_ci_high": None,
        "risk_promised": promised if len(chosen) else None,
        "risk_threshold": threshold if promised is not None and len(chosen) else None,
        "calibration": calibration if promised is not None and len(chosen) else None,
    }
    if chosen.empty:
        return values
    share, looked = chosen["repair_share"], chosen[chosen["repair_skipped"] == 0]
    values |= {
        "kept_share": float((share == 0).mean()),
        "repaired_share": float(((share > 0) & (share < 1)).mean()),
        "recomputed_share": float((share == 1).mean()),
        "unlike_share": None if looked.empty else float(looked["repair_unlike"].mean()),
        "skipped_share": float(chosen["repair_skipped"].mean()),
        "doubt_share": float(chosen["repair_in_doubt"].mean()),
    }
    separate = separate_requests(chosen)
    if separate["repair_risk"].notna().any():
        values["risk_predicted"] = float(separate["repair_risk"].mean())
    return values | _found(separate, alpha, shares)


def decided(mine: pd.DataFrame) -> pd.DataFrame:
    """Keep the warm, answered requests of which a level of repair was recorded."""
    return mine[(mine["warmth"] == Warmth.WARM.value) & mine["ok"] & mine["repair_share"].notna()]


def separate_requests(chosen: pd.DataFrame) -> pd.DataFrame:
    """Keep the first request of every cluster, of those whose answer can be compared: no two of them share media."""
    return chosen[chosen["agrees"].notna()].drop_duplicates("cluster_id")


def _found(separate: pd.DataFrame, alpha: float, shares: AlphaShares) -> dict[str, float]:
    """Compute the share of changed answers among separate requests, with exact bounds.

    Answers that surely changed are found out as accuracy that is surely lost, by the upper end of its change.
    """
    count, changed = len(separate), int((separate["agrees"] == 0).sum())
    if not count:
        return {}
    low, high = (share_interval(changed, count, alpha * share) for share in (shares.high, shares.low))
    return {"risk_found": changed / count, "risk_found_ci_low": low.low, "risk_found_ci_high": high.high}
