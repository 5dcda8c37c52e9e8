"""A service level objective: what an answer must keep to count as goodput (DistServe, arXiv 2401.09670)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Self

from workloads.reading import brief

NAMES = ("ttft", "tpot")
MOST_MS = 1e9


@dataclass(frozen=True)
class Slo:
    """Most milliseconds to the first token, and for each token behind it."""

    ttft_ms: float = inf
    tpot_ms: float = inf

    @classmethod
    def read(cls, text: str) -> Self:
        """Read ``ttft=500,tpot=50``, or one of both.

        Raises:
            ValueError: with the end of a sentence that begins with the name of the setting.
        """
        limits: dict[str, float] = {}
        for item in text.split(","):
            name, _, number = (part.strip() for part in item.partition("="))
            try:
                limit = float(number)
            except ValueError:
                limit = 0.0
            if name not in NAMES or name in limits or not 0 < limit <= MOST_MS:
                raise ValueError(f"must be like ttft=500,tpot=50, in milliseconds, not {brief(text)}")
            limits[name] = limit
        return cls(**{f"{name}_ms": limit for name, limit in limits.items()})
