"""Logistic regression with a ridge penalty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]


def fit_logistic(signals: Floats, changed: NDArray[np.bool_], ridge: float) -> tuple[Floats, float]:
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
