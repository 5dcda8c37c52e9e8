"""How far a runner's first-token distribution is from the reference's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax


def kl_divergence(reference: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """KL(reference || other) in nats, of two finite logit vectors ``(vocabulary,)``, computed in float64."""
    p, q = log_softmax(reference.astype(np.float64)), log_softmax(other.astype(np.float64))
    return float(max(0.0, np.sum(np.exp(p) * (p - q))))
