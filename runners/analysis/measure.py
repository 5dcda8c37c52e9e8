"""Measure warm requests: error map, sensitivity, drift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from runners.analysis.error_map import Compared, compare
from runners.analysis.observe import Seen
from runners.analysis.probing import layer_drifts
from runners.analysis.records import SHARES, Observation, Staleness
from runners.analysis.repair import highest_first, kl_after
from runners.analysis.sensitivity import sensitivity
from runners.analysis.stream import ObservedRunner, WarmAnswer, warm_answers
from runners.divergence import kl_divergence
from runners.records import Record
from workloads.records import Conversation


def observe_stream(
    workload: str, conversations: Sequence[Conversation], runner: ObservedRunner, ratio: float
) -> Iterator[tuple[Record, Observation | None]]:
    """Answer every request; of the warm ones that were answered, also measure what reuse did to them.

    Args:
        ratio: share of the vision tokens that a probe layer may choose.
    """
    for record, answer in warm_answers(workload, conversations, runner):
        yield record, None if answer is None else _measure(answer, ratio)


@torch.inference_mode()
def _measure(answer: WarmAnswer, ratio: float) -> Observation:
    record, seen, compared = answer.record, answer.seen, compare(answer.seen)
    segments = seen.context.layout.segments
    sizes = torch.tensor([segment.tokens for segment in segments])
    return Observation(
        workload=record.workload,
        request=record.request,
        cluster_id=record.cluster_id,
        kl=kl_divergence(compared.logits, answer.logits),
        medium=torch.arange(len(segments)).repeat_interleave(sizes).numpy(),
        token=torch.cat([torch.arange(segment.tokens) for segment in segments]).numpy(),
        errors=compared.errors,
        staleness=_staleness(seen, compared, ratio) if seen.context.reusable else None,
    )


def _staleness(seen: Seen, compared: Compared, ratio: float) -> Staleness:
    exact, drift = compared.logits, layer_drifts(seen)
    by_drift = highest_first(drift.sum(axis=0))
    return Staleness(
        deviation=compared.deviation,
        kl=sensitivity(seen, exact),
        drift=drift,
        kl_repaired=np.array([kl_after(seen, exact, by_drift, share) for share in SHARES]),
        kl_probed=np.array([kl_after(seen, exact, highest_first(scores), ratio) for scores in drift]),
    )
