"""flash-attn (FlashAttention-2, arXiv 2307.08691): runs of neighbouring queries over one shared page of keys.

A causal kernel lines up its last query with its last key, so a run of neighbouring tokens is what it calls a sequence:
its queries, and the keys up to its last token. All runs share the same keys and values: one page of the paged layout,
as long as there is room for the prompt. Nothing is copied; many lone tokens are many short sequences, which is slow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn.functional import pad

from runners.engine.attention.base import HALVES, Attention
from runners.engine.attention.capability import NO_CUDA, installed, too_old
from runners.engine.attention.view import LookBack

WIDEST = 256  # head_dim


@dataclass(frozen=True)
class Runs:
    """The runs of neighbouring tokens of a view, as the sequences that ``flash_attn_varlen_func`` takes.

    Attributes:
        cu_seqlens_q, cu_seqlens_k: cumulative numbers of queries and of keys, from 0, each ``(runs + 1,)`` int32.
        max_seqlen_q, max_seqlen_k: queries of the longest run, and keys that the last run sees.
        block_table: index of the page with each run's keys, ``(runs, 1)`` int32: always 0.
    """

    cu_seqlens_q: Tensor
    cu_seqlens_k: Tensor
    max_seqlen_q: int
    max_seqlen_k: int
    block_table: Tensor

    @classmethod
    def of(cls, view: LookBack) -> Runs:
        """Find the runs of a view, on its device."""
        tokens = view.tokens
        last = torch.cat((tokens[1:] != tokens[:-1] + 1, torch.ones(1, dtype=torch.bool))).nonzero()[:, 0]
        starts = torch.cat((torch.zeros(1, dtype=torch.int64), last + 1))
        keys = torch.cat((torch.zeros(1, dtype=torch.int64), (tokens[last] + 1).cumsum(0)))
        device = view.at.device
        return cls(
            starts.to(device, torch.int32),
            keys.to(device, torch.int32),
            int(starts.diff().max()),
            view.reach,
            torch.zeros(len(last), 1, dtype=torch.int32, device=device),
        )


class Flash(Attention):
    """See ``Attention``.

    Args:
        attend_all, attend_runs: ``flash_attn_func`` and ``flash_attn_varlen_func``; flash-attn's own when None.
    """

    name: ClassVar[str] = "flash"
    page: ClassVar[int] = 256

    def __init__(
        self, attend_all: Callable[..., Any] | None = None, attend_runs: Callable[..., Any] | None = None
    ) -> None:
        self._attend_all = attend_all or import_module("flash_attn").flash_attn_func
        self._attend_runs = attend_runs or import_module("flash_attn").flash_attn_varlen_func

    @classmethod
    def lacks(cls, device: torch.device) -> str | None:
        """See ``Attention``."""
        if device.type != "cuda":
            return NO_CUDA
        if not installed("flash_attn"):
            return "flash-attn is not installed: pip install 'vlcache[cuda]'"
        return too_old(device)

    @classmethod
    def refuses(cls, dtype: torch.dtype, head_dim: int | None) -> str | None:
        """See ``Attention``."""
        if dtype not in HALVES:
            return f"it computes in bfloat16 or float16, not in {str(dtype).removeprefix('torch.')}"
        if head_dim is not None and head_dim > WIDEST:
            return f"its heads are at most {WIDEST} wide, and those of the model {head_dim}"
        return None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, view: LookBack | None) -> Tensor:
        """See ``Attention``. Keys and values whose capacity is no multiple of ``page`` are copied."""
        queries = q.transpose(0, 1)
        if view is None:
            keys, values = (x[:, : len(queries)].transpose(0, 1)[None] for x in (k, v))
            attended = self._attend_all(queries[None], keys, values, causal=True)
        else:
            runs = view.once("runs", lambda: Runs.of(view))
            attended = self._attend_runs(
                queries,
                self._as_page(k),
                self._as_page(v),
                cu_seqlens_q=runs.cu_seqlens_q,
                cu_seqlens_k=runs.cu_seqlens_k,
                max_seqlen_q=runs.max_seqlen_q,
                max_seqlen_k=runs.max_seqlen_k,
                causal=True,
                block_table=runs.block_table,
            )
        return cast(Tensor, attended).reshape(len(queries), -1)

    def _as_page(self, x: Tensor) -> Tensor:
        """Reshape all keys or values to one page, ``(1, capacity, kv_heads, head_dim)``."""
        return pad(x, (0, 0, 0, -x.shape[1] % self.page)).transpose(0, 1)[None]
