"""Fitting and calibration of a risk model: logistic regressions, and a threshold that keeps a promise.

An answer whose tokens are in doubt is computed in full before they are given (``Plan.least_margin``), so that what
counts is what changes in spite of it. The ranking of tokens is the default one, unless fewer answers changed with the
one that needs no probe and chance does not explain it (sign test). The levels that may be chosen, the penalty of the
fit and the margin are chosen on its requests, by cross-validation over their cases: of the settings with which as small
a share of answers changes as the tests will allow, for hardly more tokens than with the best, the fewest levels, the
largest penalty and the largest margin, in this order. So few requests are not asked for more than they can tell. Where
no setting keeps it, nothing tells them apart, and the most cautious is taken.

The cases (clusters of requests that share media) are split: on one part the regressions are fitted, on the other the
threshold is tested, one request of each case, so that the tests are of separate requests that the fit has not seen.
Thresholds are tested in a fixed sequence from the most cautious on (learn then test, arXiv 2110.01052): the sequence
stops at the first whose upper bound of the share of changed answers exceeds the promised risk, or that for sure
changes more than that share of the answers that one kind of request got at one level (by the lower bound, of all
requests of the cases that are tested); of those before it the most cautious is taken that computes hardly more than the
last. Requests of one kind are of one family, all with or all without reused tokens behind new media; what is computed
in full hides no other level's changes. Such a sequence needs no more requests than one test: for a risk of 0.02 these
are 149 without a changed answer. With fewer nothing passes, and everything is computed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product, takewhile
from math import inf
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import beta, binom

from runners.defaults import DonorPolicy
from runners.risk.model import DEFAULT_RANKING, EVERYTHING, Promise, Ranking, RiskLevel, RiskModel

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
FOR_SURE = 0.99  # confidence with which a kind of request is found out, of many kinds and thresholds
RISKS = (0.01, 0.02, 0.05, 0.1)  # that a promise is sought for
USUAL_RISK = 0.02
HARDLY = 0.1  # so many more tokens, relatively, may be computed with a setting that is preferred
CAUTION = 0.5  # so many more tokens, relatively, may be computed with a more cautious threshold
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)
MARGINS = (3.0, 2.0, 1.5, 1.0, 0.5, 0.2, 0.1, 0.0)  # logit margins below which a token may be in doubt
RIDGES = (5.0, 1.0)  # penalties of the weights: few requests take a larger one
SLACK = 0.1  # of the range of a signal, beyond either end: where a request is still like those of the calibration
FIT = 3  # every FIT-th case is for fitting, the others for testing
FOLDS = 3  # of the cross-validation
DIGITS = 6
THRESHOLDS = tuple(round(float(value), DIGITS) for value in expit(np.linspace(-9, 2, 111)))


@dataclass(frozen=True)
class Outcome:
    """What a level of repair does to an answer.

    Attributes:
        changed: whether it changes.
        margin: smallest logit margin of its tokens, up to the first that differs from the true answer.
    """

    changed: bool
    margin: float

    def in_doubt(self, least_margin: float) -> bool:
        """Whether a token is in doubt before the answer goes wrong, so that it is computed in full, and right."""
        return self.margin < least_margin


RIGHT = Outcome(changed=False, margin=inf)  # of an answer that is computed in full


@dataclass(frozen=True)
class CalibrationRequest:
    """A warm request of the calibration: its signals, and what each level of repair does to its answer.

    Attributes:
        family: its workload.
        case: requests of one case share media.
        outcomes: by the ranking of the vision tokens, and by the share of them that is computed.
        behind_new_media: whether a reused token stood behind a medium that no store knew.
    """

    family: str
    case: str
    signals: tuple[float, ...]
    outcomes: Mapping[Ranking, Mapping[float, Outcome]]
    behind_new_media: bool = False


@dataclass(frozen=True)
class _Setting:
    """What is chosen before the regressions are fitted: levels by their shares, ascending."""

    ranking: Ranking
    levels: tuple[float, ...]
    ridge: float
    margin: float


def calibrate(names: Sequence[str], donor: DonorPolicy, requests: Sequence[CalibrationRequest]) -> RiskModel:
    """Fit the regressions, and find a threshold for every risk of ``RISKS``.

    Args:
        names: of the signals.
        donor: context in which the media of the requests were stored.
        requests: at least two cases, all with the same rankings and levels.

    Raises:
        ValueError: there are fewer.
    """
    numbers = _numbered([request.case for request in requests])
    fitted = [request for request, case in zip(requests, numbers, strict=True) if case % FIT == 0]
    tested = [request for request, case in zip(requests, numbers, strict=True) if case % FIT]
    separate = len(_first_of_each(tested))
    if not tested:
        raise ValueError("a calibration needs requests of two cases at least")

    empty = _without_levels(names, donor, requests)
    setting = _choose(empty, fitted, _changes_allowed(separate) / separate)
    model = replace(_with_levels(empty, fitted, setting), requests=separate)
    trials = list(_trials(_estimates(model, tested), model, tested))
    return replace(model, promises=tuple(_promise(trials, separate, risk) for risk in RISKS))


def _choose(empty: RiskModel, fitted: Sequence[CalibrationRequest], allowed: float) -> _Setting:
    """Choose the first setting, in the order that the module tells, of those that cost hardly more than the best.

    Args:
        allowed: share of the cases that may change.
    """
    ranking = _ranking(fitted)
    ladders = _ladders(sorted(fitted[0].outcomes[ranking]))
    settings = [_Setting(ranking, *parts) for parts in product(ladders, RIDGES, MARGINS)]
    costs = {setting: _cost(empty, fitted, setting, allowed) for setting in settings}
    cheapest = min(costs.values())
    if cheapest == EVERYTHING:
        return settings[0]
    return next(setting for setting, cost in costs.items() if cost <= (1 + HARDLY) * cheapest and cost < EVERYTHING)


def _ranking(fitted: Sequence[CalibrationRequest]) -> Ranking:
    """Choose the ranking: the default one, unless fewer answers changed with another, and not by chance."""
    others = [ranking for ranking in fitted[0].outcomes if ranking != DEFAULT_RANKING]
    return next((ranking for ranking in others if _is_better(ranking, fitted)), DEFAULT_RANKING)


def _is_better(ranking: Ranking, fitted: Sequence[CalibrationRequest]) -> bool:
    """Whether fewer answers changed, over all levels, than with the default ranking (one-sided sign test)."""
    pairs = [
        (outcome.changed, request.outcomes[DEFAULT_RANKING][share].changed)
        for request in fitted
        for share, outcome in request.outcomes[ranking].items()
    ]
    lost, won = (sum(pair == found for pair in pairs) for found in ((True, False), (False, True)))
    return bool(binom.cdf(lost, lost + won, 0.5) <= 1 - CONFIDENCE)


def _ladders(shares: Sequence[float]) -> list[tuple[float, ...]]:
    """Levels to choose from, fewest first: the last alone, the first and the last, and one more before it each time."""
    return [(shares[-1],), *((shares[0], *shares[-count:]) for count in range(1, len(shares)))]


def _without_levels(names: Sequence[str], donor: DonorPolicy, requests: Sequence[CalibrationRequest]) -> RiskModel:
    """Make a model of what all requests tell: the range of their signals; no level is fitted and no promise made."""
    every = _signals(requests)
    slack = SLACK * (every.max(axis=0) - every.min(axis=0)) + 1e-6
    return RiskModel(
        signals=tuple(names),
        low=_rounded(every.min(axis=0) - slack),
        high=_rounded(every.max(axis=0) + slack),
        centre=(),
        scale=(),
        levels=(),
        promises=(),
        families=tuple(dict.fromkeys(request.family for request in requests)),
        donor=donor,
        requests=0,
        confidence=CONFIDENCE,
    )


def _with_levels(empty: RiskModel, fitted: Sequence[CalibrationRequest], setting: _Setting) -> RiskModel:
    """Fit the levels to what changes in spite of a margin."""
    signals = _signals(fitted)
    centre, scale = signals.mean(axis=0), np.maximum(signals.std(axis=0), 1e-6)
    levels = []
    for share in setting.levels:
        outcomes = [request.outcomes[setting.ranking][share] for request in fitted]
        changed = np.array([outcome.changed and not outcome.in_doubt(setting.margin) for outcome in outcomes])
        weights, intercept = _fit((signals - centre) / scale, changed, setting.ridge)
        levels.append(RiskLevel(share, _rounded(weights), float(f"{intercept:.6g}")))
    return replace(
        empty,
        centre=_rounded(centre),
        scale=_rounded(scale),
        levels=tuple(levels),
        least_margin=setting.margin,
        ranking=setting.ranking,
    )


def _cost(empty: RiskModel, fitted: Sequence[CalibrationRequest], setting: _Setting, allowed: float) -> float:
    """Compute the mean share of tokens with which an ``allowed`` share of the fitted cases changes: all if none does.

    Every request is estimated by what was fitted to the cases of the other folds. Kinds are not told apart: of so few
    requests each has one or two at a level.
    """
    numbers = np.array(_numbered([request.case for request in fitted])) % FOLDS
    estimates = np.empty((len(fitted), len(setting.levels) + 1))
    model = empty
    for fold in set(numbers.tolist()):
        rest, held = (
            [fitted[place] for place in np.flatnonzero(part).tolist()] for part in (numbers != fold, numbers == fold)
        )
        if not rest:
            return EVERYTHING
        model = _with_levels(empty, rest, setting)
        estimates[numbers == fold] = _estimates(model, held)
    most = allowed * len(_first_of_each(fitted))
    kept = list(takewhile(lambda trial: trial.changed <= most, _trials(estimates, model, fitted)))
    return kept[-1].mean if kept else EVERYTHING


@dataclass(frozen=True)
class _Trial:
    """What a threshold would have done to the tested requests.

    Attributes:
        changed, bound, computed: of the separate ones, see ``Promise``.
        mean: share of the vision tokens that is computed, over all of them.
        worst: share of changed answers that a kind of request has for sure among those answered at one level, of the
            kind and level of which it is largest, so that none pays for the others, and none hides behind what is
            computed in full. A lower bound, for a level has few requests of a kind.
    """

    threshold: float
    changed: int
    bound: float
    computed: float
    mean: float
    worst: float


def _estimates(model: RiskModel, requests: Sequence[CalibrationRequest]) -> Floats:
    """Estimate the risk of every request at every level, ``(requests, levels)``; everything computed is the last."""
    return np.array([model.estimates(request.signals, request.behind_new_media) for request in requests])


def _trials(estimates: Floats, model: RiskModel, requests: Sequence[CalibrationRequest]) -> Iterator[_Trial]:
    """Choose levels for all requests, whose ``_estimates`` are given, below every one of ``THRESHOLDS`` in turn."""
    levels = [*(level.share for level in model.levels), EVERYTHING]
    ranked = [request.outcomes[model.ranking] for request in requests]
    outcomes = [[*(found[share] for share in levels[:-1]), RIGHT] for found in ranked]
    doubts = np.array([[outcome.in_doubt(model.least_margin) for outcome in row] for row in outcomes])
    changed = np.array([[outcome.changed for outcome in row] for row in outcomes]) & ~doubts
    computed = np.where(doubts, EVERYTHING, levels)
    kinds = np.array(_numbered([(request.family, request.behind_new_media) for request in requests]))
    separate, rows = _first_of_each(requests), np.arange(len(requests))
    for threshold in THRESHOLDS:
        chosen = (estimates <= threshold).argmax(axis=1)
        changes, shares = changed[rows, chosen], computed[rows, chosen]
        groups, lost = kinds * len(levels) + chosen, int(changes[separate].sum())
        yield _Trial(
            threshold=threshold,
            changed=lost,
            bound=changed_bound(lost, len(separate)),
            computed=float(shares[separate].mean()),
            mean=float(shares.mean()),
            worst=max(
                changed_for_sure(int(found), int(count))
                for found, count in zip(np.bincount(groups, changes), np.bincount(groups), strict=True)
            ),
        )


def _promise(trials: Sequence[_Trial], requests: int, risk: float) -> Promise:
    """Take one of the trials, from the most cautious on, before the promise would be broken.

    That is the most cautious one that computes hardly more than the last: little is gained by all the risk that may be
    taken. Every trial before the first that fails keeps the promise.

    Args:
        requests: number of separate ones.
    """
    kept = list(takewhile(lambda trial: trial.bound <= risk and trial.worst <= risk, trials))
    if not kept:
        return Promise(risk, 0.0, 0, round(changed_bound(0, requests), DIGITS), EVERYTHING)
    taken = next(trial for trial in kept if trial.computed <= (1 + CAUTION) * kept[-1].computed)
    return Promise(risk, taken.threshold, taken.changed, round(taken.bound, DIGITS), round(taken.computed, DIGITS))


@cache
def changed_bound(changed: int, requests: int) -> float:
    """Bound the share of changed answers from above at ``CONFIDENCE`` (Clopper-Pearson, one-sided)."""
    return 1.0 if changed >= requests else float(beta.ppf(CONFIDENCE, changed + 1, requests - changed))


@cache
def changed_for_sure(changed: int, requests: int) -> float:
    """Bound the share of changed answers from below at ``FOR_SURE`` (Clopper-Pearson, one-sided)."""
    return float(beta.ppf(1 - FOR_SURE, changed, requests - changed + 1)) if changed else 0.0


def _changes_allowed(requests: int) -> int:
    """Count how many of so many requests may change with ``USUAL_RISK`` kept, 0 where even that is too many."""
    return max(0, sum(1 for _ in takewhile(lambda k: changed_bound(k, requests) <= USUAL_RISK, range(requests))) - 1)


def _fit(signals: Floats, changed: NDArray[np.bool_], ridge: float) -> tuple[Floats, float]:
    """Fit a logistic regression with a ridge penalty: weights and intercept.

    Half a changed and half an unchanged answer are added without signals, so that the intercept stays finite where all
    answers are alike.
    """
    count = signals.shape[1]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, intercept = parameters[:count], parameters[count]
        score = signals @ weights + intercept
        error = expit(score) - changed
        prior = expit(intercept) - 0.5
        value = np.logaddexp(0, score).sum() - score[changed].sum() + 0.5 * ridge * weights @ weights
        value += np.logaddexp(0, intercept) - 0.5 * intercept
        return float(value), np.append(signals.T @ error + ridge * weights, error.sum() + prior)

    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    return found.x[:count], float(found.x[count])


def _first_of_each(requests: Sequence[CalibrationRequest]) -> list[int]:
    """Find the places of the first request of each case."""
    first: dict[str, int] = {}
    for place, request in enumerate(requests):
        first.setdefault(request.case, place)
    return list(first.values())


def _numbered(labels: Sequence[Hashable]) -> list[int]:
    """Number equal labels alike, from 0 on in the order in which they first come."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return [numbers[label] for label in labels]


def _signals(requests: Sequence[CalibrationRequest]) -> Floats:
    return np.array([request.signals for request in requests], dtype=np.float64)


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
