"""Measure the divergence of a runner's first-token distribution from the reference's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax


def kl_divergence(reference: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Compute KL(reference || other) in nats from logits ``(vocabulary,)``, in float64; NaN unless all are finite."""
    p, q = log_softmax(reference.astype(np.float64)), log_softmax(other.astype(np.float64))
    divergence = float(np.sum(np.exp(p) * (p - q)))
    return 0.0 if divergence < 0 else divergence
