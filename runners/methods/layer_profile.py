"""How a recompute budget is spread over the layers: ratios that never grow with depth.

METHODS: a token computed in a layer needs its hidden state from the layer before, so the computed sets are nested.
The documented default, for models without a measured profile, falls linearly from the first layer to the last.
"""

from __future__ import annotations

from collections.abc import Sequence


def linear_profile(layers: int) -> list[float]:
    """Weights that fall linearly from 1 in the first layer to ``1 / layers`` in the last."""
    return [(layers - layer) / layers for layer in range(layers)]


def flat_profile(layers: int) -> list[float]:
    """Equal weights."""
    return [1.0] * layers


def spread(mean_ratio: float, weights: Sequence[float]) -> list[float]:
    """Ratios proportional to ``weights``, none above 1, with the given mean.

    What a capped layer cannot take goes to the others in proportion (water filling), so a mean of 1 is 1 everywhere.
    ``weights`` must be positive and must not grow; the result does not grow either.
    """
    if not 0 <= mean_ratio <= 1:
        raise ValueError(f"the mean ratio must be between 0 and 1, not {mean_ratio}")
    wanted = mean_ratio * len(weights)
    capped = 0
    while True:
        rest = weights[capped:]
        scale = (wanted - capped) / sum(rest) if rest else 0.0
        if not rest or rest[0] * scale <= 1:
            return [1.0] * capped + [weight * scale for weight in rest]
        capped += 1
