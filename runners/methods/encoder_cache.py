"""``encoder-cache``: the vision encoder's output is reused for each image by content; the prefill runs in full.

What vLLM and SGLang do for multimodal inputs by default; the baseline of EPD disaggregation (arXiv 2501.05460).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from runners.engine.method import Method, PlanContext
from runners.engine.plan import Plan


@dataclass(frozen=True)
class EncoderCache(Method):
    """Skip the encoder for media seen before."""

    lossless: ClassVar[bool] = True
    uses_prefix: ClassVar[bool] = False
    uses_kv: ClassVar[bool] = False

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        return Plan(context.required)
