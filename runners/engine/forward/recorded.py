"""The work that is recorded: layers in a row for the same tokens, and a decoding step.

Rows are padded to a bucket and all keys are in reach, so what is launched depends on nothing but sizes.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.attention.view import LookBack
from runners.engine.forward.layer import EarlyExit, LayerKV, PlacedRows, run_layer
from runners.engine.forward.margin import logit_margin
from runners.engine.graphs.arena import PaddedRows


def run_layers(adapter: Adapter, first: int, last: int, padded: PaddedRows, k: Tensor, v: Tensor) -> None:
    """Take rows through the layers from ``first`` to ``last``; their hidden states are overwritten by those after.

    Rows that do not go on leave the last of these layers once it has their keys and values.

    Args:
        k, v: of the whole prompt, each ``(layers, kv_heads, capacity, head_dim)``; those of the rows are written.
    """
    hidden, room = padded.hidden, k.shape[2]
    rows = PlacedRows((padded.cos, padded.sin), LookBack.within(padded.at, room), padded.added, first)
    for index in range(first, last):
        hidden = run_layer(adapter, index, hidden, rows, LayerKV(k[index], v[index], padded.slots)).hidden
    exits = None if padded.kept is None else partial(_leave, padded, padded.kept, first, room)
    hidden = run_layer(adapter, last, hidden, rows, LayerKV(k[last], v[last], padded.slots), exits).hidden
    padded.hidden[: len(hidden)].copy_(hidden)


def _leave(padded: PaddedRows, kept: Tensor, first: int, room: int, *projected: Tensor) -> EarlyExit:
    """See ``Exits``: which rows go on was known when the work was laid out."""
    angles = padded.cos[kept], padded.sin[kept]
    return EarlyExit(kept, PlacedRows(angles, LookBack.within(padded.at[kept], room), padded.added[:, kept], first))


def run_step(adapter: Adapter, token: Tensor, margin: Tensor | None, padded: PaddedRows, k: Tensor, v: Tensor) -> None:
    """Compute the likeliest token after ``token``, ``(1,)``, and write it in its place.

    Args:
        margin: where its logit margin is written, ``(1,)`` float32; None where nobody looks at it.
        padded: one row, whose hidden state is not yet known.
        k, v: see ``run_layers``.
    """
    padded.hidden.copy_(adapter.embed(token))
    run_layers(adapter, 0, adapter.shape.layers - 1, padded, k, v)
    logits = adapter.head(padded.hidden)
    if margin is not None:
        margin.copy_(logit_margin(logits))
    token.copy_(logits.argmax(dim=-1))
