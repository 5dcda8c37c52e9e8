"""Quantisation to 8 bits: of a probe's queries, which only rank tokens, and on request of stored keys and values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEVELS = 127
EVERY = slice(None)


@dataclass(frozen=True)
class Quantised:
    """Rows in int8 with a scale each, symmetric around 0 (absmax, as in LLM.int8, arXiv 2208.07339).

    Attributes:
        values: ``(..., tokens, width)`` int8.
        scale: ``(..., tokens, 1)`` float32.
        dtype: of the rows.
    """

    values: Tensor
    scale: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, x: Tensor) -> Quantised:
        """Quantise ``(..., tokens, width)``; the error is at most 0.4 % of a row's largest number."""
        exact = x.float()
        scale = exact.abs().amax(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / LEVELS
        return cls((exact / scale).round().to(torch.int8), scale, x.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of values and scales."""
        return self.values.nbytes + self.scale.nbytes

    def restore(self, rows: Tensor | slice = EVERY) -> Tensor:
        """Dequantise the rows of some tokens or of all, ``(..., rows, width)``."""
        return (self.values[..., rows, :] * self.scale[..., rows, :]).to(self.dtype)


def quantise_channels(x: Tensor) -> Quantised:
    """Quantise ``(..., tokens, width)`` with a scale for each channel, as rows ``(..., width, tokens)``.

    Keys have channels that are large in every token (KIVI, arXiv 2402.02750); a scale of their own keeps the others
    precise.
    """
    return Quantised.of(x.transpose(-1, -2))


def restore_channels(quantised: Quantised) -> Tensor:
    """Dequantise what ``quantise_channels`` made, ``(..., tokens, width)``."""
    return quantised.restore().transpose(-1, -2).contiguous()
