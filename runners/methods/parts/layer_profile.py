"""How a recompute budget is spread over the layers: ratios that never grow with depth.

METHODS: a token computed in a layer needs its hidden state from the layer before, so the computed sets are nested.
A model's measured profile (``vlcache profile``) says how; the documented default, for models without one, falls
linearly from the first layer to the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from runners.profile import ModelProfile

ProfileName = Literal["auto", "linear", "flat"]

LEAST_WEIGHT = 1e-9  # of layers that a profile leaves out: they get what no other layer can take


def layer_weights(
    name: ProfileName, layers: int, profile: ModelProfile, unmeasured: Literal["linear", "flat"] = "linear"
) -> Sequence[float]:
    """The weights called ``name``; ``auto`` are those measured for the model, or else ``unmeasured``."""
    if name == "auto" and profile.layer_weights:
        return profile.layer_weights
    named = unmeasured if name == "auto" else name
    return flat_profile(layers) if named == "flat" else linear_profile(layers)


def linear_profile(layers: int) -> list[float]:
    """Weights that fall linearly from 1 in the first layer to ``1 / layers`` in the last."""
    return [(layers - layer) / layers for layer in range(layers)]


def flat_profile(layers: int) -> list[float]:
    """Equal weights."""
    return [1.0] * layers


def spread(mean_ratio: float, weights: Sequence[float], most: float = 1.0) -> list[float]:
    """Ratios proportional to ``weights``, none above ``most``, with the given mean (or ``most``, if that is less).

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
