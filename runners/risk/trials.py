"""What every threshold would have done to requests whose outcomes are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from runners.risk.bounds import changed_bound, changed_for_sure
from runners.risk.model import EVERYTHING, RiskModel
from runners.risk.outcomes import CalibrationRequest, first_of_each, numbered
from runners.risk.regression import Floats

DIGITS = 6
ENOUGH = 50  # separate requests of a family, which is then asked by itself
THRESHOLDS = tuple(round(float(value), DIGITS) for value in expit(np.linspace(-9, 2, 111)))


@dataclass(frozen=True)
class Trial:
    """What a threshold would have done to the tested requests.

    Attributes:
        changed, bound, computed: of the separate ones, see ``Promise``.
        mean: share of the vision tokens that is computed, over all of them.
        worst: share of changed answers that a kind of request has for sure among those answered at one level, of the
            kind and level of which it is largest, so that none hides behind what is computed in full. A lower bound,
            for a level has few requests of a kind.
        families: of every family, how many of its separate requests change, and how many there are.
    """

    threshold: float
    changed: int
    bound: float
    computed: float
    mean: float
    worst: float
    families: Sequence[tuple[int, int]]

    def breaks_in_a_family(self, risk: float) -> bool:
        """Whether more answers of a family change than a risk allows; one alone tells nothing.

        The same families are asked at every risk, so that no smaller promise is an easier one.
        """
        return any(count >= ENOUGH and changed > max(1, risk * count) for changed, count in self.families)


def estimate_all(model: RiskModel, requests: Sequence[CalibrationRequest]) -> Floats:
    """Estimate the risk of every request at every level, ``(requests, levels)``; everything computed is the last."""
    return np.array([model.estimates(request.signals, request.behind_new_media) for request in requests])


def try_thresholds(estimates: Floats, model: RiskModel, requests: Sequence[CalibrationRequest]) -> Iterator[Trial]:
    """Choose levels for all requests, whose estimates are given, below every one of ``THRESHOLDS`` in turn."""
    levels = [*(level.share for level in model.levels), EVERYTHING]
    outcomes = [[request.outcome(model.ranking, share) for share in levels] for request in requests]
    doubts = np.array([[outcome.in_doubt(model.least_margin) for outcome in row] for row in outcomes])
    changed = np.array([[outcome.changed for outcome in row] for row in outcomes]) & ~doubts
    computed = np.where(doubts, EVERYTHING, levels)
    kinds = np.array(numbered([(request.family, request.behind_new_media) for request in requests]))
    separate, rows = first_of_each(requests), np.arange(len(requests))
    families = np.array(numbered([requests[place].family for place in separate]))
    for threshold in THRESHOLDS:
        chosen = (estimates <= threshold).argmax(axis=1)
        changes, shares = changed[rows, chosen], computed[rows, chosen]
        groups, lost = kinds * len(levels) + chosen, int(changes[separate].sum())
        yield Trial(
            threshold=threshold,
            changed=lost,
            bound=changed_bound(lost, len(separate)),
            computed=float(shares[separate].mean()),
            mean=float(shares.mean()),
            worst=max(changed_for_sure(*counts) for counts in _counted(groups, changes)),
            families=_counted(families, changes[separate]),
        )


def _counted(groups: NDArray[np.int64], changes: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Count in every group the answers that change, and all of them."""
    return list(zip(np.bincount(groups, changes).astype(int).tolist(), np.bincount(groups).tolist(), strict=True))
