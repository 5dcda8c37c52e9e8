"""``full``: encoder and prefill from scratch, no store read or written. The reference of everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from runners.engine.method import Method, PlanContext
from runners.engine.plan import Plan


@dataclass(frozen=True)
class FullRecompute(Method):
    """Compute everything.

    Options:
        chunk: compute so many tokens of the prompt at a time; 0: all at once. Beside a plain ``full``, that is the
            noise floor: how many answers rounding alone changes.
    """

    chunk: int = 0

    lossless: ClassVar[bool] = True
    uses_encoder_cache: ClassVar[bool] = False
    uses_prefix: ClassVar[bool] = False
    uses_kv: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.chunk < 0:
            raise ValueError(f"chunk must be 0 or more, not {self.chunk}")

    @property
    def prefill_chunk(self) -> int:
        """See ``Method``."""
        return self.chunk

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        return Plan(context.required)
