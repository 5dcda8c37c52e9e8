"""``vlcache-paper``: our reading of VLCache (arXiv 2512.12977): the leading run of every medium, layer by layer.

Published is the rule: reused tokens carry an error that grows with the stale tokens before them, so the earliest ones
are recomputed, fewer in deeper layers. Ours is how fast the run shortens where nothing was measured (linearly): the
paper's own schedule was not to be had, and its public proof of concept is flat over the layers (``profile=flat``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor

from runners.engine.method import PlanContext, Reusable
from runners.engine.plan import Plan
from runners.methods.parts.layer_schedule import LayerSchedule, layer_weights, spread
from runners.methods.parts.leading import leading
from runners.methods.parts.ratio import RatioMethod


@dataclass(frozen=True)
class VLCachePaper(RatioMethod):
    """Recompute a leading run whose length follows a layer schedule of mean ``ratio``: our reading of the paper.

    Options:
        profile: layer schedule: ``flat``, ``linear`` (falls with depth) or ``auto`` (as
            measured for the model, else linear).
    """

    profile: LayerSchedule = "auto"

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        weights = layer_weights(self.profile, context.layers, context.profile)
        depth = context.required.clone()
        for layer, ratio in enumerate(spread(self.ratio, weights)):
            depth[leading(context.reusable, _share(ratio))] = layer + 1
        return Plan(depth)


def _share(ratio: float) -> Callable[[Reusable], int]:
    """Return how many leading tokens of a part a ratio pays for, rounded down."""
    return lambda part: floor(ratio * part.tokens + 1e-9)
