"""Select the leading tokens of every reused medium."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from runners.engine.method import Reusable


def leading(parts: Sequence[Reusable], count: Callable[[Reusable], int]) -> Tensor:
    """Return the indices of the first ``count(part)`` tokens of every part."""
    spans = [torch.arange(part.start, part.start + min(count(part), part.tokens)) for part in parts]
    return torch.cat(spans) if spans else torch.empty(0, dtype=torch.int64)
