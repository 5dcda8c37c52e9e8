"""Greedy continuation, one token at a time, on the keys and values a prefill left."""

from __future__ import annotations

from functools import partial

import torch

from runners.engine.adapters.base import Adapter
from runners.engine.attention.view import LookBack
from runners.engine.forward.layer import LayerKV, PlacedRows, run_layer
from runners.engine.forward.recorded import run_step
from runners.engine.graphs.graphs import Graphs
from runners.engine.kv.buffer import KVBuffer
from runners.engine.prompt.tensors import PromptTensors


def decode(adapter: Adapter, prompt: PromptTensors, kv: KVBuffer, first: int, limit: int) -> list[int]:
    """Decode up to ``limit`` tokens, ``first`` among them; an end token, which is included, ends it early.

    A step is one launch where ``kv`` is memory on which work is recorded.

    Args:
        prompt: with rotary angles for ``limit`` tokens more than it has.
        kv: keys and values of the prompt, with room for as many more.
        first: what the prefill answered.
    """
    generated = [first]
    while len(generated) < limit and generated[-1] not in adapter.end_tokens:
        at, token = len(prompt.hidden) + len(generated) - 1, generated[-1]
        if kv.graphs is None:
            generated.append(_next(adapter, prompt, kv, at, token))
        else:
            generated.append(_replayed(kv.graphs, adapter, prompt, kv, at, token))
    return generated


def _next(adapter: Adapter, prompt: PromptTensors, kv: KVBuffer, at: int, token: int) -> int:
    """The token after ``token``, whose index in the sequence is ``at``."""
    slot = slice(at, at + 1)
    rows = PlacedRows((prompt.cos[slot], prompt.sin[slot]), LookBack.of(torch.tensor([at]), adapter.device))
    hidden = adapter.embed(torch.tensor([token], device=adapter.device))
    for index in range(adapter.shape.layers):
        hidden = run_layer(adapter, index, hidden, rows, LayerKV(*kv.layer(index), slot)).hidden
    return int(adapter.head(hidden).argmax())


def _replayed(graphs: Graphs, adapter: Adapter, prompt: PromptTensors, kv: KVBuffer, at: int, token: int) -> int:
    """The same in one launch, or as it is and recorded behind the answer."""
    arena, k, v = graphs.arena, kv.k, kv.v
    row = arena.fill(torch.tensor([at]), kept=None, scratch=at, cos=prompt.cos, sin=prompt.sin)
    arena.token.fill_(token)
    graphs.run(("step", k.shape[2]), partial(run_step, adapter), arena.token, row, k, v)
    return int(arena.token)
