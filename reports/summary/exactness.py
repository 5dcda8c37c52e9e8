"""Check lossless runners: every answer must be the reference's, but for what rounding explains."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

EXACT, BROKEN = "exact", "broken"

ROUNDING_NATS = {"bfloat16": 1e-2, "float16": 1e-3}
"""By number format: a divergence of the first token, KL(reference || runner), as large as rounding makes it at most.

Logits near 20 are off by some 0.08 in bfloat16 (8 bits) and 0.01 in float16 (11 bits), and two distributions that far
apart diverge by about half its square. In float32 rounding moves logits by 1e-5: it turns no answer but one that the
noise floor shows, too.
"""


@dataclass(frozen=True)
class Exactness:
    """What a lossless runner answered beside the reference.

    Attributes:
        differences: answers that differ and that rounding does not explain.
        first: the first request with such an answer, in the order of the stream; None without any.
    """

    differences: int
    first: str | None

    @property
    def verdict(self) -> str:
        """``exact`` or ``broken``."""
        return BROKEN if self.differences else EXACT


def exactness(mine: pd.DataFrame, noise: pd.DataFrame, dtype: str) -> Exactness | None:
    """Compare the answers of a lossless runner with the reference's; None where none can be.

    Rounding explains a different answer where a runner that does what the reference does in another order (the noise
    floor) answered that request differently as well, or where the weights are narrower than float32 and the first
    token diverges by no more than ``ROUNDING_NATS``. Nothing else does.

    Args:
        mine: the runner's records of one workload, ``frame.FRAME_COLUMNS``.
        noise: those of the noise floor's runners; empty without any.
        dtype: number format of the weights.
    """
    comparable = mine[mine["agrees"].notna()]
    if comparable.empty:
        return None
    differing = comparable[comparable["agrees"] == 0]
    explained = differing["request"].isin(noise.loc[noise["agrees"] == 0, "request"])
    explained |= differing["kl"] <= ROUNDING_NATS.get(dtype, -1.0)
    unexplained = differing.loc[~explained, "request"]
    return Exactness(len(unexplained), None if unexplained.empty else str(unexplained.iloc[0]))
