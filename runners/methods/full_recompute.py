"""``full``: encoder and prefill from scratch, no store read or written. The reference of everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from runners.engine.plan import Plan
from runners.methods.base import Method, PlanContext


@dataclass(frozen=True)
class FullRecompute(Method):
    """Compute everything."""

    lossless: ClassVar[bool] = True
    uses_encoder_cache: ClassVar[bool] = False
    uses_prefix: ClassVar[bool] = False
    uses_kv: ClassVar[bool] = False

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        return Plan(context.required)
