"""Greedy continuation, one token at a time, on the keys and values a prefill left."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.attention.view import LookBack
from runners.engine.forward.recorded import run_step
from runners.engine.graphs.graphs import Graphs
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.rotary import rotate


def decode(adapter: Adapter, kv: KVBuffer, cos: Tensor, sin: Tensor, length: int, first: int, limit: int) -> list[int]:
    """Up to ``limit`` tokens, ``first`` among them, ending early with an end token (which is included).

    A step is one launch where ``kv`` is memory on which work is recorded.

    Args:
        kv: keys and values of the first ``length`` tokens, with room for ``limit`` more.
        cos, sin: rotary angles of all tokens to come as well, each ``(capacity, head_dim)``.
    """
    generated = [first]
    while len(generated) < limit and generated[-1] not in adapter.end_tokens:
        at, token = length + len(generated) - 1, generated[-1]
        if kv.graphs is None:
            generated.append(_next(adapter, kv, cos, sin, at, token))
        else:
            generated.append(_replayed(kv.graphs, adapter, kv, cos, sin, at, token))
    return generated


def _next(adapter: Adapter, kv: KVBuffer, cos: Tensor, sin: Tensor, at: int, token: int) -> int:
    """The token after ``token``, which stands ``at`` its index in the prompt."""
    view = LookBack.of(torch.tensor([at]), adapter.device)
    hidden = adapter.embed(torch.tensor([token], device=adapter.device))
    cos, sin = cos[at : at + 1], sin[at : at + 1]
    for index, layer in enumerate(adapter.layers):
        held_k, held_v = kv.layer(index)
        _, q, k, v = layer.project_qkv(hidden)
        held_k[:, at : at + 1] = rotate(k, cos, sin)
        held_v[:, at : at + 1] = v
        attended = adapter.attention.attend(rotate(q, cos, sin), held_k, held_v, view)
        hidden = layer.finish(hidden, attended)
    return int(adapter.head(hidden).argmax())


def _replayed(graphs: Graphs, adapter: Adapter, kv: KVBuffer, cos: Tensor, sin: Tensor, at: int, token: int) -> int:
    """The same as one launch."""
    arena, k, v = graphs.arena, kv.k, kv.v
    rows = arena.fill(torch.tensor([at]), None, at, cos, sin)
    arena.token.fill_(token)
    graphs.run(("step", k.shape[2]), partial(run_step, adapter), arena.token, rows, k, v)
    return int(arena.token)
