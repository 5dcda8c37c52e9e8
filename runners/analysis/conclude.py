"""Derive a model profile from what was measured: layer schedule, probe layers and sensitivity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runners.analysis.layer_fit import cost_left, fit_ratios, to_weights
from runners.analysis.probing import TryGroups, choose_probe_layers
from runners.analysis.records import Observation, ProbeChoice
from runners.profile import ModelProfile, default_probe_layers

FEWEST = 20  # warm requests with something stale, for a layer schedule


@dataclass(frozen=True)
class Conclusion:
    """A model profile, and what it was derived from.

    Attributes:
        ratios: the share of the vision tokens to recompute in each layer, at the budget.
        probes: None when reuse cost nothing, so that there was nothing to find.
    """

    profile: ModelProfile
    ratios: Sequence[float]
    probes: ProbeChoice | None


def conclude(
    observations: Sequence[Observation],
    sensitivity: Sequence[float],
    upper: Sequence[float],
    budget: float,
    try_groups: TryGroups,
) -> Conclusion:
    """Fit the layer schedule and choose the probe layers.

    Args:
        sensitivity: what staleness in each layer costs.
        upper: what it may well cost, given how few requests were seen: a layer is only cut if it can do without.
        budget: mean share of the vision tokens to recompute.
        try_groups: see ``TryGroups``.
    """
    ratios = fit_ratios(upper, cost_left(observations), budget)
    probes = choose_probe_layers(observations, budget, try_groups)
    profile = ModelProfile(
        probe_layers=_with_default(probes.layers, len(sensitivity)) if probes is not None else (),
        sensitivity=_short(sensitivity),
        layer_weights=_short(to_weights(ratios)) if tells_layers(observations) else (),
    )
    return Conclusion(profile, ratios, probes)


def tells_layers(observations: Sequence[Observation]) -> bool:
    """Whether enough was seen to take tokens from a layer: from a few requests a layer's cost may be 0 by chance."""
    return sum(observation.staleness is not None for observation in observations) >= FEWEST


def _with_default(sufficient: Sequence[int], layers: int) -> tuple[int, ...]:
    """Add the layers probed by default to those that suffice here: other questions bind elsewhere (docs/method.md)."""
    return tuple(sorted({*sufficient, *default_probe_layers(layers)}))


def _short(values: Sequence[float]) -> tuple[float, ...]:
    """Round to six significant digits, as precise as was measured; a sequence that never grows still does not."""
    return tuple(float(f"{value:.6g}") for value in values)
