"""Read a server's Prometheus counters of its caches, and tell by kind what was found between two readings.

Kinds are kept apart: a prompt's equal prefix, media whose preprocessing was found, media whose encoder output was
found, and reused keys and values that are no prefix. What a server does not count is None, not 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

MOST_METRICS = 8 * 2**20  # bytes of a reading
TOTAL = "_total"

NAMES: Mapping[str, tuple[str, ...]] = {
    "prefix_tokens": ("vllm:prefix_cache_hits", "sglang:cached_tokens"),
    "preprocessing_hits": ("vllm:mm_cache_hits",),
    "encoder_hits": (),  # no server that was tried counts them
    "kv_tokens": ("lmcache:num_hit_tokens", "vllm:external_prefix_cache_hits"),
}
"""By kind, what servers call the counter of it; the first that a server has counts."""

ASKED: Mapping[str, tuple[str, ...]] = {
    "prefix_tokens": ("vllm:prefix_cache_queries", "sglang:prompt_tokens"),
    "preprocessing_hits": ("vllm:mm_cache_queries",),
    "encoder_hits": (),
    "kv_tokens": ("lmcache:num_requested_tokens", "vllm:external_prefix_cache_queries"),
}
"""By kind, the counter of what was looked up: a counter of hits may only appear with the first hit."""


@dataclass(frozen=True)
class Hits:
    """What a server's caches had, by kind; None where it does not count that.

    Attributes:
        prefix_tokens: tokens of prompts taken from an equal prefix.
        preprocessing_hits: media that were not preprocessed again.
        encoder_hits: media that were not encoded again.
        kv_tokens: tokens whose keys and values were reused from elsewhere than an equal prefix on the device.
    """

    prefix_tokens: int | None = None
    preprocessing_hits: int | None = None
    encoder_hits: int | None = None
    kv_tokens: int | None = None

    @classmethod
    def between(cls, before: Self, after: Self) -> Self:
        """What was found between two readings."""
        return cls(*(_difference(getattr(before, kind), getattr(after, kind)) for kind in kinds()))

    @property
    def known(self) -> list[str]:
        """The kinds that the server counts."""
        return [kind for kind in kinds() if getattr(self, kind) is not None]


def kinds() -> list[str]:
    """The kinds of hits, by the names of ``Hits``."""
    return [entry.name for entry in fields(Hits)]


def read_hits(text: str) -> Hits:
    """Read the counters of caches in Prometheus' text format, with or without ``_total``, summed over their labels.

    Raises:
        ValueError: it is no such text.
    """
    from prometheus_client.parser import text_string_to_metric_families

    wanted = {name for names in (*NAMES.values(), *ASKED.values()) for name in names}
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removesuffix(TOTAL)
            if name in wanted:
                sums[name] = sums.get(name, 0.0) + float(sample.value)
    return Hits(*(_sum(sums, NAMES[kind], ASKED[kind]) for kind in kinds()))


def _sum(sums: Mapping[str, float], names: tuple[str, ...], asked: tuple[str, ...]) -> int | None:
    found = next((name for name in names if name in sums), None)
    if found is not None:
        return int(sums[found]) if 0 <= sums[found] < 1 << 62 else None
    return 0 if any(name in sums for name in asked) else None


def _difference(before: int | None, after: int | None) -> int | None:
    """None also where a server was started anew in between, and counts from 0 again."""
    return None if before is None or after is None or after < before else after - before
