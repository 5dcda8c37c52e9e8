"""Attention by the project's own kernel (``triton_kernel``): any subset of tokens, without copying keys or values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import e, log2
from typing import ClassVar

import torch
from torch import Tensor

from runners.engine.attention.base import HALVES, Attention
from runners.engine.attention.capability import lacks_triton
from runners.engine.attention.sdpa import attend_all
from runners.engine.attention.view import LookBack

WIDEST, STEP = 256, 16  # head_dim
FEWEST_KEYS = 256  # keys that make a split worthwhile
MOST_SPLITS = 64
ADDED_ROWS = 16  # rows of a program that adds splits up


@dataclass(frozen=True)
class Tiles:
    """The tile sizes of a launch, and how many programs share it.

    Attributes:
        rows, keys, dims: of one program's blocks; powers of two.
        warps: of a program.
        splits: programs that share the keys of a block of rows.
        keys_per_split: a multiple of ``keys``.
    """

    rows: int
    keys: int
    dims: int
    warps: int
    splits: int
    keys_per_split: int

    @classmethod
    def of(cls, rows: int, kv_heads: int, reach: int, head_dim: int, half: bool, processors: int) -> Tiles:
        """Choose tiles for ``rows`` (queries times heads of a group) that fit, and enough programs for the processors.

        Blocks are as large as ptxas (CUDA 12.8, compute capability 8.0 and 9.0) finds registers for. Tensor cores take
        only half precision; float32 is multiplied as it is, in far more registers.
        """
        dims = _power_of_two(head_dim)
        block = max(16, min(64 if half else 16, _power_of_two(rows)))
        keys = (64 if dims <= 128 else 32) if half else (64 if dims <= 64 else 16)
        programs = -(-rows // block) * kv_heads
        wanted = min(-(-2 * processors // programs), -(-reach // FEWEST_KEYS), MOST_SPLITS)
        keys_per_split = -(-reach // (wanted * keys)) * keys
        return cls(block, keys, dims, 8 if block * dims > 4096 else 4, -(-reach // keys_per_split), keys_per_split)


class TritonAttention(Attention):
    """See ``Attention``.

    Args:
        processors: multiprocessors that launches should fill; those of the device when None.
    """

    name: ClassVar[str] = "triton"
    recordable: ClassVar[bool] = True

    def __init__(self, processors: int | None = None) -> None:
        self._processors = processors

    @classmethod
    def lacks(cls, device: torch.device) -> str | None:
        """See ``Attention``."""
        return lacks_triton(device)

    @classmethod
    def refuses(cls, dtype: torch.dtype, head_dim: int | None) -> str | None:
        """See ``Attention``."""
        if dtype not in (torch.float32, *HALVES):
            return f"it takes float32, bfloat16 and float16, not {str(dtype).removeprefix('torch.')}"
        if head_dim is not None and (head_dim % STEP or head_dim > WIDEST):
            return f"its heads are multiples of {STEP} wide and at most {WIDEST}, and those of the model {head_dim}"
        return None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, view: LookBack | None) -> Tensor:
        """See ``Attention``. All tokens go through torch's causal kernel: there, nothing is scattered."""
        if view is None:
            return attend_all(q, k, v)
        from runners.engine.attention.triton_kernel import add_up_kernel, attend_kernel

        heads, queries, head_dim = q.shape
        kv_heads = k.shape[0]
        groups = heads // kv_heads
        processors = self._processors or _processors(q.device)
        tiles = Tiles.of(queries * groups, kv_heads, view.reach, head_dim, q.dtype in HALVES, processors)
        out = q.new_empty(queries, heads * head_dim)
        split = tiles.splits > 1
        parts = q.new_empty((tiles.splits, queries, heads, head_dim), dtype=torch.float32) if split else out
        weights = q.new_empty((tiles.splits, queries, heads), dtype=torch.float32) if split else out
        attend_kernel[-(-queries * groups // tiles.rows), kv_heads, tiles.splits](
            q,
            k,
            v,
            view.at,
            parts,
            weights,
            queries=queries,
            keys_per_split=tiles.keys_per_split,
            scale=log2(e) * head_dim**-0.5,
            **dict(zip(("q_head", "q_query", "q_dim"), q.stride(), strict=True)),
            **dict(zip(("k_head", "k_token", "k_dim"), k.stride(), strict=True)),
            **dict(zip(("v_head", "v_token", "v_dim"), v.stride(), strict=True)),
            GROUPS=groups,
            HEAD_DIM=head_dim,
            ROWS=tiles.rows,
            KEYS=tiles.keys,
            DIMS=tiles.dims,
            SPLIT=split,
            PRECISION="ieee",
            num_warps=tiles.warps,
            num_stages=2,
        )
        if split:
            rows = queries * heads
            add_up_kernel[(-(-rows // ADDED_ROWS),)](
                parts, weights, out, rows, tiles.splits, HEAD_DIM=head_dim, ROWS=ADDED_ROWS, DIMS=tiles.dims
            )
        return out


@cache
def _processors(device: torch.device) -> int:
    """Multiprocessors of a device; 1 for a CPU, on which the interpreter runs one program after the other."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def _power_of_two(number: int) -> int:
    """Round up to a power of two."""
    return 1 << (number - 1).bit_length()
