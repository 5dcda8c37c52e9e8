"""What servers told of their caches in warm requests, kind by kind; None where they told nothing."""

from __future__ import annotations

from typing import Any

import pandas as pd

from runners.records import Warmth


def served_values(mine: pd.DataFrame) -> dict[str, Any]:
    """Compute the columns of a row that are about a server's caches; all are None of methods of the built-in engine."""
    warm = mine[(mine["warmth"] == Warmth.WARM.value) & mine["ok"] & ~mine["invalid"]]
    prefix = warm[["served_cached_tokens", "served_prefix_tokens"]].max(axis=1)  # NaN where neither is told
    unseen = mine["served_unseen_mass"].dropna()
    return {
        "invalid": int(mine["invalid"].sum()) if mine["served_media"].notna().any() or mine["invalid"].any() else None,
        "kl_unseen_mass": None if unseen.empty else float(unseen.mean()),
        "server_prefix_share": _share(prefix, warm["served_prompt_tokens"]),
        "server_preprocessing_rate": _share(warm["served_preprocessing_hits"], warm["served_media"]),
        "server_encoder_rate": _share(warm["served_encoder_hits"], warm["served_media"]),
        "server_kv_share": _share(warm["served_kv_tokens"], warm["served_prompt_tokens"]),
    }


def _share(part: pd.Series[float], whole: pd.Series[float]) -> float | None:
    """Share of the sums, over requests of which both are known."""
    known = part.notna() & whole.notna()
    total = float(whole[known].sum())
    return float(part[known].sum()) / total if total > 0 else None
