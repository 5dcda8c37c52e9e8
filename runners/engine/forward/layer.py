"""One decoder layer for some tokens of a prompt: the one body that prefill, recorded layers and decoding share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.attention.view import LookBack
from runners.engine.kv.rotary import rotate


class Rows(Protocol):
    """Tokens of a prompt, one to a row of a hidden state: where they stand, and what they see."""

    @property
    def angles(self) -> tuple[Tensor, Tensor]:
        """Cosines and sines of their rotary angles, each ``(rows, head_dim)``."""
        ...

    @property
    def view(self) -> LookBack | None:
        """Which keys they see; None when they are all tokens of the prompt."""
        ...

    def deepstack(self, layer: int) -> Tensor | None:
        """What is added to their hidden states after a layer, ``(rows, hidden)``; None where nothing is."""
        ...


@dataclass(frozen=True)
class PlacedRows:
    """See ``Rows``; tensors that are at hand.

    Attributes:
        added: what is added after the layers from ``first`` on, ``(layers, rows, hidden)``; None for nothing.
    """

    angles: tuple[Tensor, Tensor]
    view: LookBack | None
    added: Tensor | None = None
    first: int = 0

    def deepstack(self, layer: int) -> Tensor | None:
        """See ``Rows``."""
        index = layer - self.first
        return None if self.added is None or index >= len(self.added) else self.added[index]


class LayerKV(NamedTuple):
    """The KV cache of one layer, and where in it the keys and values of the rows belong.

    Attributes:
        k, v: keys after RoPE and values, each ``(kv_heads, capacity, head_dim)``.
        slots: one for each row: a slice, or indices on the device, ``(rows,)``.
    """

    k: Tensor
    v: Tensor
    slots: slice | Tensor

    def write(self, k: Tensor, v: Tensor) -> None:
        """Put the rows' keys and values, each ``(kv_heads, rows, head_dim)``, into their slots."""
        if isinstance(self.slots, slice):
            self.k[:, self.slots], self.v[:, self.slots] = k, v
        else:
            self.k.index_copy_(1, self.slots, k)
            self.v.index_copy_(1, self.slots, v)


class EarlyExit(NamedTuple):
    """The rows that go on; all others leave the layer once their keys and values are written.

    Attributes:
        kept: which rows go on, ascending, ``(kept,)`` on the device.
        rows: what is known of these.
    """

    kept: Tensor
    rows: Rows


Exits = Callable[[Tensor, Tensor, Tensor], EarlyExit | None]
"""Decides which rows go on, given normed hidden states, keys after RoPE and values that are not yet written.

What it writes into keys and values is what goes into the cache. It returns None if all rows go on.
"""


class LayerOutput(NamedTuple):
    """What a layer computed.

    Attributes:
        hidden: hidden states of the rows that went on, ``(kept, hidden)``.
        k, v: of all rows, before RoPE and as is, each ``(kv_heads, rows, head_dim)``.
        q: before RoPE, of the rows that went on, ``(heads, kept, head_dim)``; None when there were none.
        attended: their attention output before its projection, ``(kept, heads * head_dim)``; None as well.
    """

    hidden: Tensor
    k: Tensor
    v: Tensor
    q: Tensor | None
    attended: Tensor | None


def run_layer(
    adapter: Adapter, index: int, hidden: Tensor, rows: Rows, kv: LayerKV, exits: Exits | None = None
) -> LayerOutput:
    """Take rows through a layer: project, rotate, write K and V, let rows leave, attend, run the MLP.

    Without ``exits`` Q, K and V are projected together; with it Q is projected afterwards, of the rows that go on.
    Nothing here depends on the values of a tensor, so that it can be recorded wherever ``rows`` and ``exits`` can.

    Args:
        hidden: before the layer, ``(rows, hidden)``.
    """
    layer, q, normed = adapter.layers[index], None, None
    if exits is None:
        _, q, raw_k, v = layer.project_qkv(hidden)
    else:
        normed, raw_k, v = layer.project_kv(hidden)
    k = rotate(raw_k, *rows.angles)
    leaving = None if exits is None or normed is None else exits(normed, k, v)
    kv.write(k, v)
    if leaving is not None and normed is not None:
        hidden, normed, rows = hidden[leaving.kept], normed[leaving.kept], leaving.rows
    attended = None
    if len(hidden):
        if q is None:
            assert normed is not None
            q = layer.project_q(normed)
        attended = adapter.attention.attend(rotate(q, *rows.angles), kv.k, kv.v, rows.view)
        hidden = layer.finish(hidden, attended)
        added = rows.deepstack(index)
        if added is not None:
            hidden = hidden + added
    return LayerOutput(hidden, raw_k, v, q, attended)
