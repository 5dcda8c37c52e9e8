"""Exact bounds of the share of answers that change (Clopper-Pearson, one-sided)."""

from __future__ import annotations

from functools import cache
from itertools import takewhile

from scipy.stats import beta

CONFIDENCE = 0.95
FOR_SURE = 0.99  # confidence with which a kind of request is found out, of many kinds and thresholds
EVEN = 0.5  # confidence with which a family keeps a promise, of few requests: more likely than not


@cache
def changed_bound(changed: int, requests: int, confidence: float = CONFIDENCE) -> float:
    """Bound the share of changed answers from above."""
    return 1.0 if changed >= requests else float(beta.ppf(confidence, changed + 1, requests - changed))


def changes_allowed(requests: int, risk: float, confidence: float = CONFIDENCE) -> int:
    """Count how many of so many requests may change with a risk kept, 0 where even none is too many."""
    kept = takewhile(lambda changed: changed_bound(changed, requests, confidence) <= risk, range(requests))
    return max(0, sum(1 for _ in kept) - 1)


@cache
def changed_for_sure(changed: int, requests: int) -> float:
    """Bound the share of changed answers from below at ``FOR_SURE``."""
    return float(beta.ppf(1 - FOR_SURE, changed, requests - changed + 1)) if changed else 0.0
