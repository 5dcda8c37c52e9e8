"""A Triton kernel for ``placing``: all media of a request in one launch, one layer or all, each number moved once.

Media lie in tensors of their own. A table in int64 has the addresses and strides from which each block of tokens is
read, as in Triton's tutorial on grouped matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from runners.engine.kv.stored import Place, StoredKV

TOKENS = 32  # tokens of a block
COLUMNS = 10
WIDE = 16  # addresses and strides that are multiples of this, in numbers and in bytes, allow vectorised loads


@triton.jit(do_not_specialize=["first_layer"])
def place_kernel(
    table: tl.tensor,
    k: tl.tensor,
    v: tl.tensor,
    k_layer: tl.tensor,
    k_head: tl.tensor,
    k_token: tl.tensor,
    v_layer: tl.tensor,
    v_head: tl.tensor,
    v_token: tl.tensor,
    first_layer: tl.tensor,
    HALF: tl.constexpr,
    DIMS: tl.constexpr,
    TOKENS: tl.constexpr,
    COLUMNS: tl.constexpr,
    UNIT: tl.constexpr,
) -> None:
    """Place one block of tokens in one layer and head; the grid is (blocks, kv_heads, layers).

    Args:
        table: see ``_table``.
        k, v: of the prompt; numbers of a token lie side by side. After them their strides.
        first_layer: the first layer of the launch.
    """
    kind: tl.constexpr = k.dtype.element_ty
    pointer: tl.constexpr = tl.pointer_type(kind)
    head, layer = tl.program_id(1).to(tl.int64), (tl.program_id(2) + first_layer).to(tl.int64)
    entry = table + tl.program_id(0).to(tl.int64) * COLUMNS
    from_k, from_v = tl.load(entry).to(pointer), tl.load(entry + 1).to(pointer)
    from_cos, from_sin = tl.load(entry + 2).to(pointer), tl.load(entry + 3).to(pointer)
    from_k, from_v = tl.multiple_of(from_k, UNIT), tl.multiple_of(from_v, UNIT)
    from_cos, from_sin = tl.multiple_of(from_cos, UNIT), tl.multiple_of(from_sin, UNIT)
    from_k += (layer * tl.load(entry + 4) + head * tl.load(entry + 5)) * UNIT
    from_v += (layer * tl.load(entry + 6) + head * tl.load(entry + 7)) * UNIT
    first, tokens = tl.load(entry + 8), tl.load(entry + 9)

    token = tl.arange(0, TOKENS)[:, None]
    dim = tl.arange(0, DIMS)[None, :]
    real = (token < tokens) & (dim < HALF)
    low_k = tl.load(from_k + token * (2 * HALF) + dim, mask=real)
    high_k = tl.load(from_k + token * (2 * HALF) + dim + HALF, mask=real)
    low_cos = tl.load(from_cos + token * (2 * HALF) + dim, mask=real)
    high_cos = tl.load(from_cos + token * (2 * HALF) + dim + HALF, mask=real)
    low_sin = tl.load(from_sin + token * (2 * HALF) + dim, mask=real)
    high_sin = tl.load(from_sin + token * (2 * HALF) + dim + HALF, mask=real)
    to_k = k + layer * k_layer + head * k_head + (first + token) * k_token + dim
    low = rounded(low_k, low_cos, kind) - rounded(high_k, low_sin, kind)
    high = rounded(high_k, high_cos, kind) + rounded(low_k, high_sin, kind)
    tl.store(to_k, low.to(kind), mask=real)
    tl.store(to_k + HALF, high.to(kind), mask=real)
    to_v = v + layer * v_layer + head * v_head + (first + token) * v_token + dim
    tl.store(to_v, tl.load(from_v + token * (2 * HALF) + dim, mask=real), mask=real)
    tl.store(to_v + HALF, tl.load(from_v + token * (2 * HALF) + dim + HALF, mask=real), mask=real)


@triton.jit
def rounded(x: tl.tensor, y: tl.tensor, kind: tl.constexpr) -> tl.tensor:
    """Multiply, round as torch does, and return float32."""
    return (x.to(tl.float32) * y.to(tl.float32)).to(kind).to(tl.float32)


def placing_by_kernel(stored: Sequence[StoredKV], k: Tensor, v: Tensor) -> Place:
    """See ``placing.placing``; ValueError for tensors whose memory layout the kernel would misread."""
    _, kv_heads, _, head_dim = k.shape
    for part in stored:
        part.require_readable(k, v)
    if not stored:
        return lambda first, last: None
    rows, unit = _table(stored, k.element_size())
    table, half = rows.to(k.device, non_blocking=True), head_dim // 2

    def place(first: int, last: int) -> None:
        place_kernel[len(table), kv_heads, last - first](
            table,
            k,
            v,
            *k.stride()[:3],
            *v.stride()[:3],
            first,
            HALF=half,
            DIMS=triton.next_power_of_2(half),
            TOKENS=TOKENS,
            COLUMNS=COLUMNS,
            UNIT=unit,
        )

    return place


def _table(stored: Sequence[StoredKV], item_bytes: int) -> tuple[Tensor, int]:
    """Make the table of ``place_kernel``, ``(blocks of tokens, COLUMNS)`` int64 on the CPU, and its unit.

    A row has the addresses of the first token's K, V, cos and sin; strides of K and V over layers and heads, in units;
    that token's index in the prompt; and the number of the medium's tokens from it on.
    """
    blocks = [-(-(part.end - part.start) // TOKENS) for part in stored]
    table = torch.tensor([_row(part) for part in stored]).repeat_interleave(torch.tensor(blocks), dim=0)
    offset = torch.cat([torch.arange(count) for count in blocks]) * TOKENS
    table[:, :4] += (offset * stored[0].cos.shape[1] * item_bytes)[:, None]
    table[:, 8] += offset
    table[:, 9] -= offset
    unit = 1 if bool((table[:, :8] % WIDE).any()) else WIDE
    table[:, 4:8] //= unit
    return table, unit


def _row(part: StoredKV) -> list[int]:
    """Make the table's row for the first block of a medium; strides in numbers."""
    addresses = [tensor.data_ptr() for tensor in (part.k, part.v, part.cos, part.sin)]
    return [*addresses, *part.k.stride()[:2], *part.v.stride()[:2], part.start, part.end - part.start]
