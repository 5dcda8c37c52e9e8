"""Layers in a row, for the same tokens, as work that can be recorded: launches depend on nothing but sizes.

It is what ``runners.engine.prefill`` does layer by layer, for rows that are padded and keys that are all in reach.
"""

from __future__ import annotations

from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.attention.view import LookBack
from runners.engine.graphs.arena import Rows
from runners.engine.kv.rotary import rotate


def run_layers(adapter: Adapter, first: int, last: int, rows: Rows, k: Tensor, v: Tensor) -> None:
    """Take rows through the layers from ``first`` to ``last``, and leave the hidden states of those that go on.

    Those that do not go on are done with when the last layer has their keys and values.

    Args:
        k, v: of the whole prompt, each ``(layers, kv_heads, capacity, head_dim)``; those of the rows are written.
    """
    hidden, at, cos, sin, added = rows.hidden, rows.at, rows.cos, rows.sin, rows.added
    view = LookBack.within(at, k.shape[2])
    for index in range(first, last + 1):
        layer, chosen = adapter.layers[index], rows.going_on if index == last else None
        if chosen is None:
            _, raw_q, raw_k, new_v = layer.project_qkv(hidden)
        else:
            normed, raw_k, new_v = layer.project_kv(hidden)
        k[index].index_copy_(1, rows.slots, rotate(raw_k, cos, sin))
        v[index].index_copy_(1, rows.slots, new_v)
        if chosen is not None:
            if not len(chosen):
                return
            hidden, at, cos, sin = hidden[chosen], at[chosen], cos[chosen], sin[chosen]
            view, added = LookBack.within(at, k.shape[2]), added[:, chosen]
            raw_q = layer.project_q(normed[chosen])
        attended = adapter.attention.attend(rotate(raw_q, cos, sin), k[index], v[index], view)
        hidden = layer.finish(hidden, attended)
        if index - first < len(added):
            hidden = hidden + added[index - first]
    rows.hidden[: len(hidden)].copy_(hidden)


def run_step(adapter: Adapter, token: Tensor, rows: Rows, k: Tensor, v: Tensor) -> None:
    """From a ``token``, ``(1,)``, to the likeliest next one, which comes in its place.

    Args:
        rows: one, without a hidden state.
        k, v: see ``run_layers``.
    """
    rows.hidden.copy_(adapter.embed(token))
    run_layers(adapter, 0, adapter.shape.layers - 1, rows, k, v)
    token.copy_(adapter.head(rows.hidden).argmax(dim=-1))
