"""The risk model: how likely an answer changes at each level of repair, estimated from a few signals of the request.

One logistic regression for each level. The cheapest level is chosen whose estimate is at most a threshold; computing
everything is always left, and changes nothing. What no signal of the request tells shows while it is answered: a token
whose logit margin is small is in doubt, and everything is computed before it is given. Threshold and margin are
calibrated, see ``runners.risk.calibrate``. A request whose signals lie outside the range of those that the model was
fitted on is unlike them: nothing is estimated for it, and everything is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Interval, Lt

from runners.defaults import DonorPolicy
from runners.records import Repair
from workloads.errors import UsageError

Share = Annotated[float, Interval(ge=0, le=1)]
Number = Annotated[float, Interval(gt=-1e300, lt=1e300)]
Positive = Annotated[float, Gt(0), Lt(1e300)]
Count = Annotated[int, Ge(0)]
Margin = Annotated[float, Interval(ge=0, lt=1e300)]

Ranking = Literal["written", "written+drift"]
"""By what tokens are ranked: what they write to the question, or that and their drift, in turn (docs/method.md)."""

RANKINGS: tuple[Ranking, ...] = get_args(Ranking)

DEFAULT_RANKING: Ranking = "written+drift"
"""The ranking, unless another was found to be better."""

EVERYTHING = 1.0
"""The level that computes all reusable tokens: lossless, and always there."""


@dataclass(frozen=True)
class RiskLevel:
    """A level of repair, and the logistic regression of its risk.

    Attributes:
        share: of the prompt's vision tokens that are computed, the best ranked first.
        weights: one for each signal, standardised.
    """

    share: Share
    weights: tuple[Number, ...]
    intercept: Number


@dataclass(frozen=True)
class Promise:
    """A threshold, and what it promises of requests like those that it was tested on.

    Attributes:
        risk: promised share of changed answers.
        threshold: largest estimate with which a level is chosen; 0 where too few requests were seen for any.
        changed: answers that it let change, of the calibration's ``requests``.
        bound: upper bound of that share at the calibration's confidence (Clopper-Pearson).
        computed: mean share of the vision tokens that it computed.
    """

    risk: Share
    threshold: Share
    changed: Count
    bound: Share
    computed: Share


@dataclass(frozen=True)
class RiskModel:
    """See the module. Levels ascend by their share, promises by their risk.

    Attributes:
        signals: names of the signals, in the order of all lists.
        low, high: range of each signal among the requests of the calibration, slack included.
        centre, scale: by which they are standardised.
        families: workloads that the requests came from.
        donor: context in which the media of these requests were stored.
        requests: separate requests, no two of which share media, that the promises were tested on.
        confidence: of the promises.
        least_margin: logit margin below which a token of an answer is in doubt; the levels were fitted to what changes
            in spite of that.
        ranking: of the tokens that a level computes first.
    """

    signals: tuple[str, ...]
    low: tuple[Number, ...]
    high: tuple[Number, ...]
    centre: tuple[Number, ...]
    scale: tuple[Positive, ...]
    levels: tuple[RiskLevel, ...]
    promises: tuple[Promise, ...]
    families: tuple[str, ...]
    donor: DonorPolicy
    requests: Count
    confidence: Share
    least_margin: Margin = 0.0
    ranking: Ranking = DEFAULT_RANKING

    def check(self, where: str) -> None:
        """Check that all parts fit; UsageError, which begins with ``where``, if not."""
        count = len(self.signals)
        lists = (self.low, self.high, self.centre, self.scale, *(level.weights for level in self.levels))
        if any(len(values) != count for values in lists):
            raise UsageError(f"{where}: risk must have one number for each of its {count} signals in every list")
        shares = [level.share for level in self.levels]
        if shares != sorted(set(shares)) or (shares and shares[-1] >= EVERYTHING):
            raise UsageError(f"{where}: levels of risk must ascend, below a share of 1")
        risks = [promise.risk for promise in self.promises]
        if risks != sorted(set(risks)):
            raise UsageError(f"{where}: promises of risk must ascend")

    def promise(self, risk: float) -> Promise | None:
        """Find the least cautious promise of at most a risk; None where all promise less."""
        return next((promise for promise in reversed(self.promises) if promise.risk <= risk), None)

    def kept_promise(self, risk: float) -> Promise | None:
        """Find ``promise``, if it can be kept without computing everything in every request; else None."""
        promise = self.promise(risk)
        return None if promise is None or promise.threshold == 0 else promise

    def choose(self, signals: Sequence[float], risk: float, behind_new_media: bool = False) -> Repair:
        """Choose the cheapest level whose estimate is at most the threshold of the promise for ``risk``.

        Args:
            signals: as ``signals`` names them.
            behind_new_media: see ``choose_below``.
        """
        if self.unlike(signals):
            return Repair(EVERYTHING, 0.0, unlike=True)
        promise = self.kept_promise(risk)
        if promise is None:
            return Repair(EVERYTHING, 0.0)
        return self.choose_below(signals, promise.threshold, behind_new_media)

    def choose_below(self, signals: Sequence[float], threshold: float, behind_new_media: bool = False) -> Repair:
        """Choose the cheapest level whose estimate is at most ``threshold``.

        Args:
            behind_new_media: see ``estimates``.
        """
        shares = (*(level.share for level in self.levels), EVERYTHING)
        estimates = zip(shares, self.estimates(signals, behind_new_media), strict=True)
        return next(Repair(share, estimate) for share, estimate in estimates if estimate <= threshold)

    def estimates(self, signals: Sequence[float], behind_new_media: bool = False) -> tuple[float, ...]:
        """Estimate the risk of every level, computing everything last, whose risk is 0.

        Args:
            behind_new_media: whether a reused token stands behind a medium that no store knows. Then some tokens are
                computed in any case, and keeping everything has the risk 1: what a new picture tells a reused one
                leaves no trace in the text pass.
        """
        barred = [behind_new_media and level.share == 0 for level in self.levels]
        risks = (self.estimate(level, signals) for level in self.levels)
        return (*(1.0 if bar else risk for bar, risk in zip(barred, risks, strict=True)), 0.0)

    def unlike(self, signals: Sequence[float]) -> bool:
        """Whether a request is unlike those of the calibration: a signal lies outside their range, slack included."""
        rows = zip(signals, self.low, self.high, strict=True)
        return any(not low <= value <= high for value, low, high in rows)

    def estimate(self, level: RiskLevel, signals: Sequence[float]) -> float:
        """Estimate the probability that the answer changes at a level."""
        standard = zip(level.weights, signals, self.centre, self.scale, strict=True)
        return logistic(level.intercept + sum(weight * (value - at) / by for weight, value, at, by in standard))


def logistic(score: float) -> float:
    """Compute the logistic function without overflow."""
    return 1 / (1 + exp(-score)) if score >= 0 else exp(score) / (1 + exp(score))
