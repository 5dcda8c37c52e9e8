"""Where recorded work finds its inputs: memory that stays in place, filled before every launch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from runners.engine.adapters.base import Adapter
from runners.engine.graphs.buckets import bucket

LARGEST = 1024  # tokens at a time: with more, a GPU has enough to do between launches


class Rows(NamedTuple):
    """Some tokens in a bucket of rows: what is left of it holds the last one again, and no result of that is used.

    Attributes:
        hidden: their hidden states before the layers, ``(rows, hidden)``; after them, those of the rows that go on.
        slots: where their keys and values go, ``(rows,)``.
        at: which token each is, ascending, ``(rows,)``.
        going_on: which rows go through all of the last layer, in a bucket of their own; None for all rows.
        cos, sin: their rotary angles, each ``(rows, head_dim)``.
        added: what is added to them after the first of the layers, ``(layers, rows, hidden)``.
    """

    hidden: Tensor
    slots: Tensor
    at: Tensor
    going_on: Tensor | None
    cos: Tensor
    sin: Tensor
    added: Tensor

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """All that its shapes depend on, besides the model's."""
        return len(self.at), None if self.going_on is None else len(self.going_on), len(self.added)


class Arena:
    """Room for the ``Rows`` of a model, one set of them at a time.

    Attributes:
        token: the token that a decoding step starts from, and then the next one, ``(1,)``.
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

    def fill(
        self,
        tokens: Tensor,
        going_on: Tensor | None,
        spare: int,
        cos: Tensor,
        sin: Tensor,
        hidden: Tensor | None = None,
        added: Tensor | None = None,
    ) -> Rows:
        """Lay out ``Rows`` of so many tokens; they are at the same addresses whenever their shapes are the same.

        Args:
            tokens: their indices, ascending, ``(tokens,)`` on the CPU; at most ``LARGEST``.
            going_on: which of them go on, ``(going on,)`` on the CPU; None for all.
            spare: a slot that nobody looks at.
            cos, sin: of all tokens, each ``(capacity, head_dim)``.
            hidden: their hidden states; None where rows that went on before are to go on from where they are.
            added: what is added to all tokens, ``(layers, tokens, hidden)``.
        """
        count = len(tokens)
        rows = bucket(count)
        own = torch.arange(rows).clamp(max=count - 1)
        at = tokens[own]
        indices = [pad(tokens, (0, rows - count), value=spare), at, own]
        if going_on is not None and len(going_on):
            indices.append(going_on[torch.arange(bucket(len(going_on))).clamp(max=len(going_on) - 1)])
        told = torch.cat(indices)
        placed = self._indices[: len(told)].copy_(told, non_blocking=True)
        slots, at, own = placed[: 3 * rows].view(3, rows)
        states = self._hidden[:rows]
        if hidden is not None:
            torch.index_select(hidden, 0, own, out=states)
        cos, sin = (
            torch.index_select(whole, 0, at, out=own[:rows])
            for whole, own in zip((cos, sin), self._angles, strict=True)
        )
        layers = 0 if added is None else len(added)
        room = self._added[: layers * states.numel()].view(layers, *states.shape)
        if added is not None:
            torch.index_select(added, 1, at, out=room)
        return Rows(states, slots, at, None if going_on is None else placed[3 * rows :], cos, sin, room)
