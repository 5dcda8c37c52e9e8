"""Exact bounds of the share of answers that change (Clopper-Pearson, one-sided)."""

from __future__ import annotations

from functools import cache
from itertools import takewhile

from scipy.stats import beta

CONFIDENCE = 0.95
FOR_SURE = 0.99  # confidence with which a kind of request is found out, of many kinds and thresholds


@cache
def changed_bound(changed: int, requests: int) -> float:
    """Bound the share of changed answers from above at ``CONFIDENCE``."""
    return 1.0 if changed >= requests else float(beta.ppf(CONFIDENCE, changed + 1, requests - changed))


def changes_allowed(requests: int, risk: float) -> int:
    """Count how many of so many requests may change with a risk kept, 0 where even none is too many."""
    kept = takewhile(lambda changed: changed_bound(changed, requests) <= risk, range(requests))
    return max(0, sum(1 for _ in kept) - 1)


@cache
def changed_for_sure(changed: int, requests: int) -> float:
    """Bound the share of changed answers from below at ``FOR_SURE``."""
    return float(beta.ppf(1 - FOR_SURE, changed, requests - changed + 1)) if changed else 0.0
