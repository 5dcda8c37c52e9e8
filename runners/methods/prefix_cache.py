"""``prefix-cache``: the encoder cache, and the longest equal token prefix, media compared by content.

Prefix caching as in SGLang's RadixAttention (arXiv 2312.07104) and vLLM; what production has today.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from runners.engine.method import Method, PlanContext
from runners.engine.plan import Plan


@dataclass(frozen=True)
class PrefixCache(Method):
    """Skip what an earlier request began with.

    Options:
        block: prefixes match in multiples of so many tokens (vLLM: 16).
    """

    lossless: ClassVar[bool] = True
    uses_kv: ClassVar[bool] = False

    block: int = 1

    def __post_init__(self) -> None:
        if self.block < 1:
            raise ValueError(f"block must be at least 1 token, not {self.block}")

    @property
    def prefix_block(self) -> int:
        """See ``Method``."""
        return self.block

    def plan(self, context: PlanContext) -> Plan:
        """See ``Method``."""
        return Plan(context.required)
