"""A decoding step as work that can be recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from runners.engine.graphs.arena import Rows
from runners.engine.graphs.layers import run_layers

if TYPE_CHECKING:
    from runners.engine.adapters.base import Adapter


def run_step(adapter: Adapter, token: Tensor, rows: Rows, k: Tensor, v: Tensor) -> None:
    """From a ``token``, ``(1,)``, to the likeliest next one, which comes in its place.

    Args:
        rows: one, without a hidden state.
        k, v: see ``run_layers``.
    """
    rows.hidden.copy_(adapter.embed(token))
    run_layers(adapter, 0, adapter.shape.layers - 1, rows, k, v)
    token.copy_(adapter.head(rows.hidden).argmax(dim=-1))
