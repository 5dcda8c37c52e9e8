"""Fits a risk model to what a calibration stream showed: the range of its signals, and a regression for every level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from runners.defaults import DonorPolicy
from runners.risk.bounds import CONFIDENCE
from runners.risk.model import Ranking, RiskLevel, RiskModel
from runners.risk.outcomes import CalibrationRequest
from runners.risk.regression import Floats, fit_logistic

SLACK = 0.1  # of the range of a signal, beyond either end: where a request is still like those of the calibration


@dataclass(frozen=True)
class Setting:
    """What is chosen before the regressions are fitted.

    Attributes:
        ranking: of the tokens that a level computes first.
        levels: their shares, ascending.
        ridge: penalty of the weights.
        margin: logit margin below which a token is in doubt.
    """

    ranking: Ranking
    levels: tuple[float, ...]
    ridge: float
    margin: float


def without_levels(names: Sequence[str], donor: DonorPolicy, requests: Sequence[CalibrationRequest]) -> RiskModel:
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


def with_levels(empty: RiskModel, fitted: Sequence[CalibrationRequest], setting: Setting) -> RiskModel:
    """Fit every level of a setting to the answers that change in spite of its margin, each by itself."""
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


def _signals(requests: Sequence[CalibrationRequest]) -> Floats:
    return np.array([request.signals for request in requests], dtype=np.float64)


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
