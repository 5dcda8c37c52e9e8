"""Layer schedules: spread a recompute budget over the layers, as ratios that never grow with depth.

A token computed in a layer needs its hidden state from the layer before, so the computed sets are nested. The weights
measured for a model (``vlcache profile``) say how deep the budget pays; the default for models without them falls
linearly from the first layer to the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from runners.profile import ModelProfile

LayerSchedule = Literal["auto", "linear", "flat"]
"""As measured for the model, falling with depth, or the same in every layer."""

LEAST_WEIGHT = 1e-9  # of layers whose weight is 0: they get what no other layer can take


def layer_weights(schedule: LayerSchedule, layers: int, profile: ModelProfile) -> Sequence[float]:
    """Return a weight for every layer; ``auto`` takes those measured for the model, or else linear ones."""
    if schedule == "auto" and profile.layer_weights:
        return profile.layer_weights
    named = "linear" if schedule == "auto" else schedule
    return flat_weights(layers) if named == "flat" else linear_weights(layers)


def linear_weights(layers: int) -> list[float]:
    """Return weights that fall linearly from 1 in the first layer to ``1 / layers`` in the last."""
    return [(layers - layer) / layers for layer in range(layers)]


def flat_weights(layers: int) -> list[float]:
    """Return equal weights."""
    return [1.0] * layers


def spread(mean_ratio: float, weights: Sequence[float], most: float = 1.0) -> list[float]:
    """Distribute a mean ratio in proportion to ``weights``, no layer above ``most``; the mean is at most ``most``.

    What a capped layer cannot take goes to the others in proportion (water filling), so a mean of 1 is 1 everywhere.
    ``weights`` must not be negative and must not grow; the result does not grow either.
    """
    if not 0 <= mean_ratio <= 1:
        raise ValueError(f"the mean ratio must be between 0 and 1, not {mean_ratio}")
    floored = [max(weight, LEAST_WEIGHT) for weight in weights]
    wanted = min(mean_ratio, most) * len(weights)
    capped = 0
    while True:
        rest = floored[capped:]
        scale = (wanted - capped * most) / sum(rest) if rest else 0.0
        if not rest or rest[0] * scale <= most:
            return [most] * capped + [weight * scale for weight in rest]
        capped += 1
