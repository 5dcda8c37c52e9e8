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
stops at the first whose upper bound of the share of changed answers exceeds the promised risk; that more likely than
not changes more than that share of one family, if it has separate requests enough to tell; or that for sure does of
the answers that one kind of request got at one level (by the lower bound, of all requests of the cases that are
tested). Of those before it the most cautious is taken that computes hardly more than the last. Requests of one kind
are of one family, all with or all without reused tokens behind new media; what is computed in full hides no other
level's changes. Such a sequence needs no more requests than one test: for a risk of 0.02 these are 149 without a
changed answer. With fewer nothing passes, and everything is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product, takewhile

import numpy as np
from scipy.stats import binom

from runners.defaults import DonorPolicy
from runners.risk.bounds import CONFIDENCE, changed_bound, changed_likely
from runners.risk.model import DEFAULT_RANKING, EVERYTHING, Promise, Ranking, RiskLevel, RiskModel
from runners.risk.outcomes import CalibrationRequest, first_of_each, numbered
from runners.risk.regression import Floats, fit_logistic
from runners.risk.trials import DIGITS, Trial, estimate_all, try_thresholds

RISKS = (0.01, 0.02, 0.05, 0.1)  # that a promise is sought for
USUAL_RISK = 0.02
HARDLY = 0.1  # so many more tokens, relatively, may be computed with a setting that is preferred
CAUTION = 0.5  # so many more tokens, relatively, may be computed with a more cautious threshold
PRICE = 0.1  # and so much less, relatively, may be saved with it
MARGINS = (3.0, 2.0, 1.5, 1.0, 0.5, 0.2, 0.1, 0.0)  # logit margins below which a token may be in doubt
RIDGES = (5.0, 1.0)  # penalties of the weights: few requests take a larger one
SLACK = 0.1  # of the range of a signal, beyond either end: where a request is still like those of the calibration
FIT = 3  # every FIT-th case is for fitting, the others for testing
FOLDS = 3  # of the cross-validation


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
    numbers = numbered([request.case for request in requests])
    fitted = [request for request, case in zip(requests, numbers, strict=True) if case % FIT == 0]
    tested = [request for request, case in zip(requests, numbers, strict=True) if case % FIT]
    separate = len(first_of_each(tested))
    if not tested:
        raise ValueError("a calibration needs requests of two cases at least")

    empty = _without_levels(names, donor, requests)
    setting = _choose(empty, fitted, _changes_allowed(separate) / separate)
    model = replace(_with_levels(empty, fitted, setting), requests=separate)
    trials = list(try_thresholds(estimate_all(model, tested), model, tested))
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
        outcomes = [request.outcome(setting.ranking, share) for request in fitted]
        changed = np.array([outcome.stays_changed(setting.margin) for outcome in outcomes])
        weights, intercept = fit_logistic((signals - centre) / scale, changed, setting.ridge)
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
    numbers = np.array(numbered([request.case for request in fitted])) % FOLDS
    estimates = np.empty((len(fitted), len(setting.levels) + 1))
    model = empty
    for fold in set(numbers.tolist()):
        rest, held = (
            [fitted[place] for place in np.flatnonzero(part).tolist()] for part in (numbers != fold, numbers == fold)
        )
        if not rest:
            return EVERYTHING
        model = _with_levels(empty, rest, setting)
        estimates[numbers == fold] = estimate_all(model, held)
    most = allowed * len(first_of_each(fitted))
    kept = list(takewhile(lambda trial: trial.changed <= most, try_thresholds(estimates, model, fitted)))
    return kept[-1].mean if kept else EVERYTHING


def _promise(trials: Sequence[Trial], requests: int, risk: float) -> Promise:
    """Take one of the trials, from the most cautious on, before the promise would be broken.

    That is the most cautious one that computes hardly more than the last: little is gained by all the risk that may be
    taken. Every trial before the first that fails keeps the promise.

    Args:
        requests: number of separate ones.
    """
    kept = list(takewhile(lambda trial: _keeps(trial, risk), trials))
    if not kept:
        return Promise(risk, 0.0, 0, round(changed_bound(0, requests), DIGITS), EVERYTHING)
    taken = next(trial for trial in kept if _costs_hardly_more(trial.computed, kept[-1].computed))
    return Promise(risk, taken.threshold, taken.changed, round(taken.bound, DIGITS), round(taken.computed, DIGITS))


def _keeps(trial: Trial, risk: float) -> bool:
    """Whether a trial keeps the promise of a risk for all requests in sum, for every kind, and for every family.

    A family is asked for itself if it has so many separate requests that one changed answer would not be too many.
    """
    asked = [changed_likely(*family) for family in trial.families if changed_likely(1, family[1]) <= USUAL_RISK]
    return max(trial.bound, trial.worst, *asked) <= risk


def _costs_hardly_more(computed: float, least: float) -> bool:
    """Whether a share of the tokens is little more than the least, and saves nearly as much: caution is worth that."""
    return computed <= (1 + CAUTION) * least and 1 - computed >= (1 - PRICE) * (1 - least)


def _changes_allowed(requests: int) -> int:
    """Count how many of so many requests may change with ``USUAL_RISK`` kept, 0 where even that is too many."""
    return max(0, sum(1 for _ in takewhile(lambda k: changed_bound(k, requests) <= USUAL_RISK, range(requests))) - 1)


def _signals(requests: Sequence[CalibrationRequest]) -> Floats:
    return np.array([request.signals for request in requests], dtype=np.float64)


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
