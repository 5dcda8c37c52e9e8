"""Measure the sensitivity of each layer: what staleness in it alone costs.

Everything is computed, but in the chosen layers attention sees the stored keys and values of the reusable tokens. In
layer 0 these are exact, so its cost is 0 up to rounding; in all layers together it is that of pure reuse.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from runners.analysis.exact import recompute
from runners.analysis.observe import Seen
from runners.divergence import kl_divergence
from runners.engine.plan import FreshLayer


def sensitivity(seen: Seen, exact: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the first token's KL(full || stale in that layer) for every layer, ``(layers,)``.

    Args:
        exact: the first token's logits with everything recomputed, ``(vocabulary,)``.
    """
    return np.array([kl_divergence(exact, stale_in(seen, {layer})) for layer in range(seen.context.layers)])


def stale_in(seen: Seen, layers: Collection[int]) -> NDArray[np.float32]:
    """Compute first-token logits with reusable tokens stale in ``layers`` and nowhere else, ``(vocabulary,)``."""
    reusable = seen.context.candidates().to(seen.states.device)

    def look(fresh: FreshLayer) -> None:
        if fresh.layer in layers:
            fresh.k[:, reusable] = seen.stored.k[fresh.layer][:, reusable]
            fresh.v[:, reusable] = seen.stored.v[fresh.layer][:, reusable]

    return recompute(seen.context, look)
