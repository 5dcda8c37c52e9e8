"""The inputs of recorded work: memory that stays in place and is filled before every launch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from runners.engine.adapters.base import Adapter
from runners.engine.graphs.buckets import bucket

LARGEST = 1024  # tokens at a time: with more, a GPU has enough to do between launches


class PaddedRows(NamedTuple):
    """Some tokens padded to a bucket of rows. Padding repeats the last token; its results are not used.

    Attributes:
        hidden: hidden states before the layers, ``(rows, hidden)``; after them, those of the rows that go on.
        slots: where their keys and values are written, ``(rows,)``: those of padding to a scratch slot.
        at: index of each row's token in the prompt, ascending, ``(rows,)``.
        kept: which rows go through all of the last layer, padded to a bucket of their own; None for all rows.
        cos, sin: rotary angles, each ``(rows, head_dim)``.
        added: what is added to the hidden states after the first of the layers, ``(layers, rows, hidden)``.
    """

    hidden: Tensor
    slots: Tensor
    at: Tensor
    kept: Tensor | None
    cos: Tensor
    sin: Tensor
    added: Tensor

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """All that the shapes of these tensors depend on, besides the model."""
        return len(self.at), None if self.kept is None else len(self.kept), len(self.added)


class Arena:
    """Memory for the ``PaddedRows`` of a model, one set of them at a time.

    Attributes:
        token: the token that a decoding step starts from, overwritten by the next one, ``(1,)``.
        margin: logit margin of the token that a step decoded, ``(1,)`` float32.
    """

    def __init__(self, adapter: Adapter) -> None:
        shape = adapter.shape

        def room(*size: int) -> Tensor:
            return torch.zeros(size, device=adapter.device, dtype=adapter.dtype)

        self._hidden = room(LARGEST, shape.hidden)
        self._angles = room(2, LARGEST, shape.head_dim)
        self._added = room(shape.deepstack * LARGEST * shape.hidden)
        self._indices = torch.zeros(4 * LARGEST, dtype=torch.int64, device=adapter.device)
        self.token = torch.zeros(1, dtype=torch.int64, device=adapter.device)
        self.margin = torch.zeros(1, device=adapter.device)

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        return sum(memory.nbytes for memory in vars(self).values())

    def fill(
        self,
        tokens: Tensor,
        kept: Tensor | None,
        scratch: int,
        cos: Tensor,
        sin: Tensor,
        hidden: Tensor | None = None,
        added: Tensor | None = None,
    ) -> PaddedRows:
        """Lay out padded rows; tensors of the same shapes are at the same addresses every time.

        Args:
            tokens: indices in the prompt, ascending, ``(tokens,)`` on the CPU; at most ``LARGEST``.
            kept: which of them go through all of the last layer, ``(kept,)`` on the CPU; None for all.
            scratch: slot for keys and values of padding; no query sees it.
            cos, sin: of the whole prompt, each ``(capacity, head_dim)``.
            hidden: hidden states of the tokens; None to go on from those that the launch before left here.
            added: what is added to the whole prompt, ``(layers, prompt tokens, hidden)``.
        """
        count = len(tokens)
        rows = bucket(count)
        source = torch.arange(rows).clamp(max=count - 1)
        indices = [pad(tokens, (0, rows - count), value=scratch), tokens[source], source]
        if kept is not None and len(kept):
            indices.append(kept[torch.arange(bucket(len(kept))).clamp(max=len(kept) - 1)])
        on_host = torch.cat(indices)
        on_device = self._indices[: len(on_host)].copy_(on_host, non_blocking=True)
        slots, at, source = on_device[: 3 * rows].view(3, rows)
        states = self._hidden[:rows]
        if hidden is not None:
            torch.index_select(hidden, 0, source, out=states)
        cos, sin = (
            torch.index_select(whole, 0, at, out=memory[:rows])
            for whole, memory in zip((cos, sin), self._angles, strict=True)
        )
        layers = 0 if added is None else len(added)
        room = self._added[: layers * states.numel()].view(layers, *states.shape)
        if added is not None:
            torch.index_select(added, 1, at, out=room)
        return PaddedRows(
            states, slots, at, None if kept is None else on_device[3 * rows :], cos=cos, sin=sin, added=room
        )
