"""The contract of an attention backend: some of a prompt's tokens over the keys of all before them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from runners.engine.attention.view import LookBack

HALVES = (torch.bfloat16, torch.float16)


class Attention(ABC):
    """One way to compute attention.

    Class attributes:
        name: as on the command line.
        page: the capacity of a KV cache must be a multiple of this, in tokens, for the backend to run without copies.
        recordable: whether it takes a ``fixed`` view, for which launches depend on sizes alone.
    """

    name: ClassVar[str]
    page: ClassVar[int] = 1
    recordable: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def lacks(cls, device: torch.device) -> str | None:
        """Say why this machine cannot run it for a model on ``device``; None when it can."""
        ...

    @classmethod
    def refuses(cls, dtype: torch.dtype, head_dim: int | None) -> str | None:
        """Say why it cannot run a model with such queries and keys; None when it can, as far as is known."""
        return None

    @abstractmethod
    def attend(self, q: Tensor, k: Tensor, v: Tensor, view: LookBack | None) -> Tensor:
        """Causal attention of some tokens over the keys of a prompt.

        Args:
            q: rotated queries, ``(heads, queries, head_dim)``.
            k, v: rotated keys and values of tokens 0, 1, ..., each ``(kv_heads, capacity, head_dim)``; values
                after the last query's own token are not read and may be undefined.
            view: which keys each query sees; None when the queries are tokens 0, 1, ... themselves.

        Returns:
            ``(queries, heads * head_dim)``.
        """
        ...


def beside_each_other(attended: Tensor) -> Tensor:
    """Join the heads: ``(heads, queries, head_dim)`` to ``(queries, heads * head_dim)``."""
    return attended.transpose(0, 1).reshape(attended.shape[1], -1)
