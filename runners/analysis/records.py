"""Records of warm requests: error map, staleness, and what drift probes find. No torch here.

Arrays have a row per layer and a column per token: ``tokens`` are all vision tokens of the prompt in order,
``reusable`` those of them that a method decides about. NaN where nothing is defined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Shares of the reusable tokens whose recomputation is tried; with all of them nothing is left."""

ROUNDING = 1e-6
"""Nats per request: what costs less than this on average costs nothing beyond rounding."""


@dataclass(frozen=True)
class ErrorMap:
    """Errors of the keys and values that a method used, against full recomputation, each ``(layers, tokens)`` float32.

    Attributes:
        delta_k, delta_v: L2 norm over heads and dimensions of the difference. K is compared after RoPE at the position
            of this request, so the move itself is no error.
        relative_k, relative_v: the same divided by the true norm; NaN where that is 0.
        cosine: of the hidden state before the layer and the true one. A reused token has the state it had in its
            donor; NaN where that is not known (an exact prefix, a donor that was compiled or is no longer stored).
        computed: whether the token was computed in the layer, bool.
    """

    delta_k: Floats
    delta_v: Floats
    relative_k: Floats
    relative_v: Floats
    cosine: Floats
    computed: NDArray[np.bool_]


@dataclass(frozen=True)
class Staleness:
    """Errors of the stored keys and values, before any repair, and what they cost: KL of the first token, in nats.

    Attributes:
        deviation: relative error of the stored V, ``(layers, reusable)``.
        kl: KL(full || everything exact but K, V of the reusable tokens in this layer), ``(layers,)``.
        drift: score of a drift probe of the layer alone, ``(layers - 1, reusable)``: the last one cannot be probed.
        kl_repaired: KL(full || those of highest drift in any layer recomputed), for each of ``SHARES``.
        kl_probed: KL(full || the budget spent on the tokens of highest drift in this layer), ``(layers - 1,)``.
    """

    deviation: Floats
    kl: NDArray[np.float64]
    drift: Floats
    kl_repaired: NDArray[np.float64]
    kl_probed: NDArray[np.float64]

    @property
    def damage(self) -> NDArray[np.float64]:
        """Split the cost of staleness over the reusable tokens, in nats, ``(reusable,)``.

        What staleness in a layer costs is split over the tokens by squared deviation: KL is quadratic in small ones.
        """
        squared = np.nan_to_num(self.deviation.astype(np.float64)) ** 2
        whole = squared.sum(axis=1, keepdims=True)
        split: NDArray[np.float64] = self.kl @ np.divide(squared, whole, out=np.zeros_like(squared), where=whole > 0)
        return split


@dataclass(frozen=True)
class Observation:
    """Measurements of one warm request, as one method answered it.

    Attributes:
        cluster_id: requests of one cluster share their media.
        kl: first-token KL(full || method) in nats.
        medium: which medium of the prompt a vision token belongs to, 0 for the first, ``(tokens,)``.
        token: its index in that medium, ``(tokens,)``.
        errors: of all vision tokens.
        staleness: of the reusable ones; None where an exact prefix covers all media, or nothing was stored.
    """

    workload: str
    request: str
    cluster_id: str
    kl: float
    medium: NDArray[np.int64]
    token: NDArray[np.int64]
    errors: ErrorMap
    staleness: Staleness | None

    @property
    def layers(self) -> int:
        """Decoder layers."""
        return len(self.errors.delta_k)


@dataclass(frozen=True)
class ProbeChoice:
    """The chosen probe layers, and what every layer's drift finds.

    Attributes:
        repaired: share of the cost of reuse that goes when each layer alone chooses the tokens to recompute.
        recall: damage of the tokens that each layer alone chooses, relative to the best choice of as many; None when
            nothing is damaged. The last layer cannot be probed.
        added: the layers chosen, in the order in which they were added, each with what the group so far repairs.
    """

    repaired: tuple[float, ...]
    recall: tuple[float | None, ...]
    added: tuple[tuple[int, float], ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers chosen, ascending."""
        return tuple(sorted(layer for layer, _ in self.added))
