"""Times of lm-eval's samples, one by one and summarised. No lm-eval here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runners.records import CacheStats, Status, Timing


@dataclass(frozen=True)
class SampleTiming:
    """Time of one sample. There is one for each answer, in order.

    Attributes:
        task, doc_id, prompt_hash: as in lm-eval's log of samples; ``doc_id`` counts the samples that are asked.
        recurring_media: pictures of the prompt that were sent before, with this sample or an earlier one.
        error: why there is no answer when ``status`` is not OK; lm-eval was then given an empty one.
    """

    task: str
    doc_id: int
    prompt_hash: str
    media: int
    recurring_media: int
    status: Status
    error: str | None
    timing: Timing | None
    cache: CacheStats | None

    @property
    def warm(self) -> bool:
        """Whether every picture of the prompt was sent before."""
        return self.recurring_media == self.media > 0


@dataclass(frozen=True)
class Summary:
    """Times and hits of the samples that were answered; what was not measured is None.

    Attributes:
        warm: samples of which every picture was sent before.
        media: pictures in their prompts, repeats counted.
        encoder_hits: of these, pictures whose encoder output was not computed.
        kv_hits: of these, pictures of which some keys and values were reused.
    """

    samples: int
    failed: int
    warm: int
    ttft_ms_p50: float | None
    ttft_ms_p90: float | None
    warm_ttft_ms_p50: float | None
    warm_ttft_ms_p90: float | None
    media: int
    encoder_hits: int
    kv_hits: int

    def __str__(self) -> str:
        told = [_times(self.samples - self.failed, "samples", self.ttft_ms_p50, self.ttft_ms_p90)]
        if self.warm:
            told.append(_times(self.warm, "with pictures sent before", self.warm_ttft_ms_p50, self.warm_ttft_ms_p90))
        told.append(
            f"of {self.media} pictures {self.encoder_hits} had encoder output from before, "
            f"{self.kv_hits} keys and values"
        )
        if self.failed:
            told.append(f"{self.failed} samples failed, and have empty answers")
        return "; ".join(told)


def summarise(timings: Sequence[SampleTiming]) -> Summary:
    """Of samples answered one after the other."""
    answered = [item for item in timings if item.status is Status.OK]
    every = [item.timing.ttft_ms for item in answered if item.timing is not None]
    warm = [item.timing.ttft_ms for item in answered if item.timing is not None and item.warm]
    caches = [item.cache for item in answered if item.cache is not None]
    return Summary(
        samples=len(timings),
        failed=len(timings) - len(answered),
        warm=sum(item.warm for item in answered),
        ttft_ms_p50=_percentile(every, 50),
        ttft_ms_p90=_percentile(every, 90),
        warm_ttft_ms_p50=_percentile(warm, 50),
        warm_ttft_ms_p90=_percentile(warm, 90),
        media=sum(item.media for item in answered),
        encoder_hits=sum(cache.encoder_hits for cache in caches),
        kv_hits=sum(cache.kv_hits for cache in caches),
    )


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _times(count: int, what: str, p50: float | None, p90: float | None) -> str:
    if p50 is None or p90 is None:
        return f"TTFT of {count} {what}: none measured"
    return f"TTFT of {count} {what}: p50 {p50:.1f} ms, p90 {p90:.1f} ms"
