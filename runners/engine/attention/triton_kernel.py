"""Triton kernels of attention for scattered tokens: each query sees the keys up to its own token's.

Online softmax over blocks of keys as in FlashAttention-2 (arXiv 2307.08691). The query heads of a group share their
keys, so they stand in the rows of one block, and each key is read once for all of them. Where queries are few, the
keys of a block of rows are split over several programs, whose results a second kernel adds up by their weights
(Flash-Decoding, PyTorch blog of 13 October 2023).

Rows are queries times the heads of a group, query by query: so the rows of a block see about equally many keys.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["queries", "keys_per_split"])
def attend_kernel(
    q: tl.tensor,
    k: tl.tensor,
    v: tl.tensor,
    at: tl.tensor,
    out: tl.tensor,
    weights: tl.tensor,
    queries: tl.tensor,
    keys_per_split: tl.tensor,
    scale: tl.tensor,
    q_head: tl.tensor,
    q_query: tl.tensor,
    q_dim: tl.tensor,
    k_head: tl.tensor,
    k_token: tl.tensor,
    k_dim: tl.tensor,
    v_head: tl.tensor,
    v_token: tl.tensor,
    v_dim: tl.tensor,
    GROUPS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    DIMS: tl.constexpr,
    SPLIT: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """Attend with one block of rows over the keys of one split; the grid is (row blocks, kv_heads, splits).

    Args:
        at: the token of each query, ascending.
        out: ``(queries, heads, head_dim)``, or with SPLIT ``(splits, queries, heads, head_dim)`` float32.
        weights: with SPLIT the log2 of the sum that each row was divided by, ``(splits, queries, heads)`` float32.
        scale: of the logits, times log2(e).
        q_head, ..., v_dim: strides.
    """
    kv_head, split = tl.program_id(1), tl.program_id(2)
    heads = tl.num_programs(1) * GROUPS
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    query = row // GROUPS
    head = kv_head * GROUPS + row % GROUPS
    dim = tl.arange(0, DIMS)
    real_row, real_dim = query < queries, dim < HEAD_DIM
    real = real_row[:, None] & real_dim[None, :]
    own = tl.load(at + query, mask=real_row, other=-1).to(tl.int32)
    reach = tl.max(own, axis=0) + 1
    start = split * keys_per_split
    stop = tl.minimum(start + keys_per_split, reach)

    from_q = q + head.to(tl.int64)[:, None] * q_head + query.to(tl.int64)[:, None] * q_query + dim[None, :] * q_dim
    rows = tl.load(from_q, mask=real, other=0.0)
    from_k = k + kv_head.to(tl.int64) * k_head + dim[:, None] * k_dim
    from_v = v + kv_head.to(tl.int64) * v_head + dim[None, :] * v_dim
    largest = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    attended = tl.zeros([ROWS, DIMS], tl.float32)
    for first in range(start, stop, KEYS):
        key = first + tl.arange(0, KEYS)
        real_key, token = key < stop, key.to(tl.int64)
        keys = tl.load(from_k + token[None, :] * k_token, mask=real_key[None, :] & real_dim[:, None], other=0.0)
        logits = tl.dot(rows, keys, input_precision=PRECISION) * scale
        logits = tl.where(real_key[None, :] & (key[None, :] <= own[:, None]), logits, float("-inf"))
        now = tl.maximum(largest, tl.max(logits, axis=1))
        base = tl.where(now == float("-inf"), 0.0, now)
        kept = tl.exp2(largest - base)
        shares = tl.exp2(logits - base[:, None])
        values = tl.load(from_v + token[:, None] * v_token, mask=real_key[:, None] & real_dim[None, :], other=0.0)
        total = total * kept + tl.sum(shares, axis=1)
        attended = attended * kept[:, None]
        attended = tl.dot(shares.to(values.dtype), values, attended, input_precision=PRECISION)
        largest = now

    divisor = tl.where(total > 0.0, total, 1.0)
    place = query.to(tl.int64) * heads + head
    if SPLIT:
        place += split.to(tl.int64) * queries * heads
        base = tl.where(largest == float("-inf"), 0.0, largest)
        weight = tl.where(total > 0.0, base + tl.log2(divisor), float("-inf"))
        tl.store(weights + place, weight, mask=real_row)
    to_out = out + place[:, None] * HEAD_DIM + dim[None, :]
    tl.store(to_out, (attended / divisor[:, None]).to(out.dtype.element_ty), mask=real)


@triton.jit(do_not_specialize=["rows", "splits"])
def add_up_kernel(
    parts: tl.tensor,
    weights: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    splits: tl.tensor,
    HEAD_DIM: tl.constexpr,
    ROWS: tl.constexpr,
    DIMS: tl.constexpr,
) -> None:
    """Average the results of the splits by their weights; the grid is the blocks of rows (queries times all heads).

    Args:
        parts, weights: ``out`` and ``weights`` of ``attend_kernel``. The first split has keys for every row.
        out: ``(rows, head_dim)``.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    dim = tl.arange(0, DIMS)
    real_row = row < rows
    real = real_row[:, None] & (dim < HEAD_DIM)[None, :]
    place = row.to(tl.int64)
    largest = tl.load(weights + place, mask=real_row, other=0.0)
    total = tl.full([ROWS], 1.0, tl.float32)
    attended = tl.load(parts + place[:, None] * HEAD_DIM + dim[None, :], mask=real, other=0.0)
    for _ in range(1, splits):
        place += rows
        weight = tl.load(weights + place, mask=real_row, other=0.0)
        part = tl.load(parts + place[:, None] * HEAD_DIM + dim[None, :], mask=real, other=0.0)
        now = tl.maximum(largest, weight)
        kept, share = tl.exp2(largest - now), tl.exp2(weight - now)
        total = total * kept + share
        attended = attended * kept[:, None] + part * share[:, None]
        largest = now
    to_out = out + row.to(tl.int64)[:, None] * HEAD_DIM + dim[None, :]
    tl.store(to_out, (attended / total[:, None]).to(out.dtype.element_ty), mask=real)
