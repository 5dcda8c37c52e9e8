"""Fitting and calibration of a risk model: logistic regressions, and a threshold that keeps a promise.

An answer whose tokens are in doubt is computed in full before they are given (``Plan.least_margin``), so that what
counts is what changes in spite of it.

The cases (clusters of requests that share media) are split: on one part the setting is chosen
(``runners.risk.setting``) and the regressions are fitted, on the other the threshold is tested, one request of each
case, so that the tests are of separate requests that the fit has not seen.
Thresholds are tested in a fixed sequence from the most cautious on (learn then test, arXiv 2110.01052): the sequence
stops at the first that changes too many answers. Those are more than the promised risk by the upper bound of their
share; or as they were counted in one family, if it has separate requests enough to tell; or by the lower bound of the
answers that one kind of request got at one level (of all requests of the cases that are tested). Of those before it
the most cautious is taken that computes at most half as much more than the last, and saves nearly as much. Requests of
one kind are of one family, all with or all without reused tokens behind new media; what is computed in full hides no
other level's changes. Such a sequence needs no more requests than one test: for a risk of 0.02 these are 149 without a
changed answer. With fewer nothing passes, and everything is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from runners.defaults import DonorPolicy
from runners.risk.bounds import changed_bound, changes_allowed
from runners.risk.fit import with_levels, without_levels
from runners.risk.model import EVERYTHING, Promise, RiskModel
from runners.risk.outcomes import CalibrationRequest, first_of_each, numbered
from runners.risk.setting import choose_setting
from runners.risk.trials import DIGITS, Trial, estimate_all, try_thresholds

RISKS = (0.01, 0.02, 0.05, 0.1)  # that a promise is sought for
USUAL_RISK = 0.02
CAUTION = 0.5  # so many more tokens, relatively, may be computed with a more cautious threshold
PRICE = 0.1  # and so much less, relatively, may be saved with it
FIT = 3  # every FIT-th case is for fitting, the others for testing


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

    empty = without_levels(names, donor, requests)
    setting = choose_setting(empty, fitted, changes_allowed(separate, USUAL_RISK) / separate, USUAL_RISK)
    model = replace(with_levels(empty, fitted, setting), requests=separate)
    trials = list(try_thresholds(estimate_all(model, tested), model, tested))
    return replace(model, promises=tuple(_promise(trials, separate, risk) for risk in RISKS))


def _promise(trials: Sequence[Trial], requests: int, risk: float) -> Promise:
    """Take one of the trials, from the most cautious on, before the promise would be broken.

    That is the most cautious one that is worth its tokens, measured by the last: little is gained by all the risk that
    may be taken. Every trial before the first that fails keeps the promise.

    Args:
        requests: number of separate ones.
    """
    kept = list(takewhile(lambda trial: _keeps(trial, risk), trials))
    if not kept:
        return Promise(risk, 0.0, 0, round(changed_bound(0, requests), DIGITS), EVERYTHING)
    taken = next(trial for trial in kept if _is_worth_its_tokens(trial.computed, kept[-1].computed))
    return Promise(risk, taken.threshold, taken.changed, round(taken.bound, DIGITS), round(taken.computed, DIGITS))


def _keeps(trial: Trial, risk: float) -> bool:
    """Whether a trial keeps the promise of a risk in sum, in every kind, and in every family that can tell."""
    return max(trial.bound, trial.worst) <= risk and not trial.breaks_in_a_family(risk)


def _is_worth_its_tokens(computed: float, last: float) -> bool:
    """Whether a more cautious threshold computes little more than the last one kept, and saves nearly as much."""
    return computed <= (1 + CAUTION) * last and 1 - computed >= (1 - PRICE) * (1 - last)
