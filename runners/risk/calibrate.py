"""Fitting and calibration of a risk model: logistic regressions, and a threshold that keeps a promise.

The cases (clusters of requests that share media) are split: on one part the regressions are fitted, on the other the
threshold is tested, one request of each case, so that the tests are of separate requests that the fit has not seen.
Thresholds are tested in a fixed sequence from the most cautious on (learn then test, arXiv 2110.01052): the sequence
stops at the first whose upper bound of the share of changed answers exceeds the promised risk, or that changes more
than that share of the answers of one family, here of all requests of the cases that are tested, and the one before it
is taken. Such a sequence needs no more requests than one
test: for a risk of 0.02 these are 149 without a changed answer. With fewer nothing passes, and everything is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import beta

from runners.defaults import DonorPolicy
from runners.risk.model import EVERYTHING, Promise, RiskLevel, RiskModel

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
RISKS = (0.01, 0.02, 0.05, 0.1)  # that a promise is sought for
RIDGE = 1.0
SLACK = 0.1  # of the range of a signal, beyond either end: where a request is still like those of the calibration
FIT = 3  # every FIT-th case is for fitting, the others for testing
DIGITS = 6
THRESHOLDS = tuple(round(float(value), DIGITS) for value in expit(np.linspace(-9, 2, 111)))


@dataclass(frozen=True)
class CalibrationRequest:
    """A warm request of the calibration: its signals, and at which levels of repair its answer changes.

    Attributes:
        family: its workload.
        case: requests of one case share media.
        changed: by the share of vision tokens that is computed, whether the answer changes.
    """

    family: str
    case: str
    signals: tuple[float, ...]
    changed: Mapping[float, bool]


def calibrate(names: Sequence[str], donor: DonorPolicy, requests: Sequence[CalibrationRequest]) -> RiskModel:
    """Fit the regressions, and find a threshold for every risk of ``RISKS``.

    Args:
        names: of the signals.
        donor: context in which the media of the requests were stored.
        requests: at least two cases, all with the same levels.

    Raises:
        ValueError: there are fewer.
    """
    order = {case: number for number, case in enumerate(dict.fromkeys(request.case for request in requests))}
    fitted = [request for request in requests if order[request.case] % FIT == 0]
    tested = [request for request in requests if order[request.case] % FIT]
    separate = _one_of_each(tested)
    if not tested:
        raise ValueError("a calibration needs requests of two cases at least")
    signals = _signals(fitted)
    centre, scale = signals.mean(axis=0), np.maximum(signals.std(axis=0), 1e-6)
    levels = []
    for share in sorted(requests[0].changed):
        changed = np.array([request.changed[share] for request in fitted])
        weights, intercept = _fit((signals - centre) / scale, changed)
        levels.append(RiskLevel(share, _rounded(weights), float(f"{intercept:.6g}")))
    every = _signals(requests)
    slack = SLACK * (every.max(axis=0) - every.min(axis=0)) + 1e-6
    model = RiskModel(
        signals=tuple(names),
        low=_rounded(every.min(axis=0) - slack),
        high=_rounded(every.max(axis=0) + slack),
        centre=_rounded(centre),
        scale=_rounded(scale),
        levels=tuple(levels),
        promises=(),
        families=tuple(dict.fromkeys(request.family for request in requests)),
        donor=donor,
        requests=len(separate),
        confidence=CONFIDENCE,
    )
    return replace(model, promises=tuple(_promise(model, tested, separate, risk) for risk in RISKS))


def _promise(
    model: RiskModel, tested: Sequence[CalibrationRequest], separate: Sequence[CalibrationRequest], risk: float
) -> Promise:
    """Test thresholds from the most cautious on, and take the last before the promise would be broken.

    Args:
        separate: those of the tested requests that share no media.
    """
    best = Promise(risk, 0.0, 0, round(changed_bound(0, len(separate)), DIGITS), EVERYTHING)
    for threshold in THRESHOLDS:
        shares = [model.choose_below(request.signals, threshold).share for request in separate]
        changed = sum(request.changed.get(share, False) for request, share in zip(separate, shares, strict=True))
        bound = changed_bound(changed, len(separate))
        if bound > risk or _worst_family(model, tested, threshold) > risk:
            break
        best = Promise(risk, threshold, changed, round(bound, DIGITS), round(float(np.mean(shares)), DIGITS))
    return best


def _worst_family(model: RiskModel, tested: Sequence[CalibrationRequest], threshold: float) -> float:
    """Find the largest share of changed answers that any family has, so that none pays for the others."""
    of_family: dict[str, list[bool]] = {}
    for request in tested:
        share = model.choose_below(request.signals, threshold).share
        of_family.setdefault(request.family, []).append(request.changed.get(share, False))
    return max(float(np.mean(changes)) for changes in of_family.values())


def changed_bound(changed: int, requests: int) -> float:
    """Bound the share of changed answers from above at ``CONFIDENCE`` (Clopper-Pearson, one-sided)."""
    return 1.0 if changed >= requests else float(beta.ppf(CONFIDENCE, changed + 1, requests - changed))


def _fit(signals: Floats, changed: NDArray[np.bool_]) -> tuple[Floats, float]:
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
        value = np.logaddexp(0, score).sum() - score[changed].sum() + 0.5 * RIDGE * weights @ weights
        value += np.logaddexp(0, intercept) - 0.5 * intercept
        return float(value), np.append(signals.T @ error + RIDGE * weights, error.sum() + prior)

    found = minimize(loss, np.zeros(count + 1), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    return found.x[:count], float(found.x[count])


def _one_of_each(requests: Sequence[CalibrationRequest]) -> list[CalibrationRequest]:
    """Take the first request of each case."""
    first: dict[str, CalibrationRequest] = {}
    for request in requests:
        first.setdefault(request.case, request)
    return list(first.values())


def _signals(requests: Sequence[CalibrationRequest]) -> Floats:
    return np.array([request.signals for request in requests], dtype=np.float64)


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
