"""FlexAttention (arXiv 2412.05496): torch compiles a kernel from the rule that a query sees keys up to its own token.

Which blocks of keys a block of queries sees in part, in full or not at all follows from its first and its last token,
so no mask of queries times keys is ever made. On a CPU torch 2.13 compiles anew for every number of queries, and fails
for some: CUDA only. Compiling takes seconds, once per head layout and kind of shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from runners.engine.attention.base import Attention, beside_each_other
from runners.engine.attention.capability import NO_CUDA, lacks_triton
from runners.engine.attention.sdpa import attend_all
from runners.engine.attention.view import LookBack

BLOCK = 128  # queries and keys of a block, as flex_attention's kernels expect
NARROWEST = 16  # head_dim


@cache
def compiled() -> Callable[..., Any]:
    """``flex_attention`` through torch.compile, for any number of queries and keys."""
    return torch.compile(flex_attention, dynamic=True)


class Flex(Attention):
    """See ``Attention``.

    Args:
        kernel: a function that computes what ``flex_attention`` does; that one, compiled, when None.
    """

    name: ClassVar[str] = "flex"

    def __init__(self, kernel: Callable[..., Any] | None = None) -> None:
        self._kernel = kernel or compiled()

    @classmethod
    def lacks(cls, device: torch.device) -> str | None:
        """See ``Attention``. What torch compiles for CUDA devices are Triton kernels."""
        return NO_CUDA if device.type != "cuda" else lacks_triton(device)

    @classmethod
    def refuses(cls, dtype: torch.dtype, head_dim: int | None) -> str | None:
        """See ``Attention``."""
        if head_dim is not None and head_dim < NARROWEST:
            return f"its heads are at least {NARROWEST} wide, and those of the model {head_dim}"
        return None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, view: LookBack | None) -> Tensor:
        """See ``Attention``. All tokens go through torch's causal kernel, which is faster than a compiled one."""
        if view is None:
            return attend_all(q, k, v)
        mask = view.once("blocks", lambda: block_mask(view))
        keys, values = (x[None, :, : view.reach] for x in (k, v))
        attended = self._kernel(q[None], keys, values, block_mask=mask, enable_gqa=q.shape[0] > k.shape[0])
        return beside_each_other(cast(Tensor, attended)[0])


def block_mask(view: LookBack) -> BlockMask:
    """Find which blocks of keys each block of a view's queries sees in full, and which in part."""
    at, reach = view.at, view.reach
    first, last = at[::BLOCK], at[BLOCK - 1 :: BLOCK]
    if len(last) < len(first):
        last = torch.cat((last, at[-1:]))
    in_full = (first + 1) // BLOCK
    in_part = last // BLOCK + 1 - in_full
    blocks = torch.arange(-(-reach // BLOCK), device=at.device).expand(len(first), -1)
    shifted = (blocks + in_full[:, None]).clamp(max=blocks.shape[1] - 1)

    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return key <= at[query]

    def listed(numbers: Tensor) -> Tensor:
        return numbers.to(torch.int32).contiguous()[None, None]

    return BlockMask.from_kv_blocks(
        listed(in_part),
        listed(shifted),
        listed(in_full),
        listed(blocks),
        BLOCK_SIZE=BLOCK,
        mask_mod=sees,
        seq_lengths=(len(at), reach),
    )
