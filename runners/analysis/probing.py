"""Choose the layers of the drift probe: those in which the tokens that matter stand out.

What decides is what is left of the cost of reuse when the budget is spent on the tokens that a layer, or a group of
them, ranks highest. How much of the true damage these tokens have is told beside it, but a layer that finds the largest
deviations need not find those that matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import floor

import numpy as np
import torch
from numpy.typing import NDArray

from runners.analysis.exact import recompute
from runners.analysis.observe import Seen, probed_at
from runners.analysis.records import ROUNDING, Observation, ProbeChoice, Staleness
from runners.analysis.repair import highest_first, kl_after
from runners.analysis.stream import ObservedRunner, warm_answers
from runners.methods.parts.drift import drift_scores
from workloads.records import Conversation

LARGEST_GROUP = 3
LEAST_GAIN = 0.01  # of the cost of reuse: less is a tie, and does not pay for another stored query

Losses = NDArray[np.float64]
TryGroups = Callable[[Sequence[Sequence[int]]], Iterable[Losses]]
"""First-token KL after each group of layers chose the tokens, ``(groups,)``, for every request that reuses media."""


def layer_drifts(seen: Seen) -> NDArray[np.float32]:
    """Compute the drift scores that each layer alone gives the reusable tokens, ``(layers - 1, reusable)``."""
    everything = torch.arange(len(seen.context.candidates()))
    scores = [np.empty((0, len(everything)), dtype=np.float32)]
    for layer in seen.context.probe_layers:
        alone = replace(probed_at(seen.context, (layer,)), kv=seen.stored.copy())
        alone.compute_before_candidates(layer + 1)
        scores.append(drift_scores(alone, everything).numpy()[None])
    return np.concatenate(scores)


def group_losses(
    workload: str,
    conversations: Sequence[Conversation],
    runner: ObservedRunner,
    groups: Sequence[Sequence[int]],
    ratio: float,
) -> Iterator[Losses | None]:
    """Answer every request again and try ``groups`` as ``TryGroups`` says; None where nothing is reused."""
    for _, answer in warm_answers(workload, conversations, runner):
        reuses = answer is not None and answer.seen.context.reusable
        yield _losses(answer.seen, groups, ratio) if answer is not None and reuses else None


def choose_probe_layers(observations: Sequence[Observation], ratio: float, try_groups: TryGroups) -> ProbeChoice | None:
    """Select the few layers whose drift best tells which tokens to recompute; None when reuse costs nothing.

    Forward selection: the layer that repairs most, then whatever repairs most with it, while another ``LEAST_GAIN`` is
    to be had. Layers that differ by less are tied; the shallowest of them wins, because it needs a shorter partial
    prefill. Costs are summed over requests, in nats: one that reuse does not hurt does not count.

    Args:
        ratio: share of the vision tokens that is recomputed.
        try_groups: asked only while there is something to gain.
    """
    cases = [item.staleness for item in observations if item.staleness is not None]
    cost = float(sum(case.kl_repaired[0] for case in cases))
    if cost <= ROUNDING * len(cases) or not len(cases[0].kl_probed):
        return None
    alone = 1 - np.sum([case.kl_probed for case in cases], axis=0) / cost
    first = _shallowest_of_the_best(alone)
    added = [(first, float(alone[first]))]
    while added[-1][1] + LEAST_GAIN <= 1 and len(added) < min(LARGEST_GROUP, len(alone)):
        group = [layer for layer, _ in added]
        others = [layer for layer in range(len(alone)) if layer not in group]
        repaired = 1 - np.sum(list(try_groups([[*group, layer] for layer in others])), axis=0) / cost
        if repaired.max() < added[-1][1] + LEAST_GAIN:
            break
        best = _shallowest_of_the_best(repaired)
        added.append((others[best], float(repaired[best])))
    recall = tuple(_recall(cases, layer, ratio) for layer in range(len(alone)))
    return ProbeChoice(tuple(alone.tolist()), recall, tuple(added))


@torch.inference_mode()
def _losses(seen: Seen, groups: Sequence[Sequence[int]], ratio: float) -> Losses:
    exact, drift = recompute(seen.context, lambda fresh: None), layer_drifts(seen)
    orders = [highest_first(drift[list(group)].mean(axis=0)) for group in groups]
    return np.array([kl_after(seen, exact, order, ratio) for order in orders])


def _shallowest_of_the_best(repaired: Losses) -> int:
    return int(np.flatnonzero(repaired > repaired.max() - LEAST_GAIN)[0])


def _recall(cases: Sequence[Staleness], layer: int, ratio: float) -> float | None:
    """Compute the damage of the tokens that a layer ranks highest, relative to that of the best choice of as many."""
    chosen = best = 0.0
    for case in cases:
        count = max(1, floor(ratio * len(case.damage) + 1e-9))
        chosen += float(case.damage[highest_first(case.drift[layer])[:count]].sum())
        best += float(np.sort(case.damage)[::-1][:count].sum())
    return chosen / best if best > 0 else None
