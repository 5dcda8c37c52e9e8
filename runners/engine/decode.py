"""Greedy continuation, one token at a time, on the keys and values a prefill left."""

from __future__ import annotations

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.attention import LookBack
from runners.engine.prefill import KVBuffer
from runners.engine.rotary import rotate


def decode(adapter: Adapter, kv: KVBuffer, cos: Tensor, sin: Tensor, length: int, first: int, limit: int) -> list[int]:
    """Up to ``limit`` tokens, ``first`` among them, ending early with an end token (which is included).

    Args:
        kv: keys and values of the first ``length`` tokens, with room for ``limit`` more.
        cos, sin: rotary angles of all tokens to come as well, each ``(capacity, head_dim)``.
    """
    generated = [first]
    while len(generated) < limit and generated[-1] not in adapter.end_tokens:
        at = length + len(generated) - 1
        view = LookBack.of(torch.tensor([at]), adapter.device)
        hidden = adapter.embed(torch.tensor(generated[-1:], device=adapter.device))
        for index, layer in enumerate(adapter.layers):
            normed, k, v = layer.project_kv(hidden)
            kv.k[index, :, at : at + 1] = rotate(k, cos[at : at + 1], sin[at : at + 1])
            kv.v[index, :, at : at + 1] = v
            q = rotate(layer.project_q(normed), cos[at : at + 1], sin[at : at + 1])
            attended = adapter.attention.attend(q, kv.k[index], kv.v[index], view)
            hidden = layer.finish(hidden, attended)
        generated.append(int(adapter.head(hidden).argmax()))
    return generated
