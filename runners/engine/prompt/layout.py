"""The layout of a prompt: token ids, media segments and positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runners.engine.adapters.base import Adapter, RenderedPrompt
from runners.engine.errors import PromptTooLong
from runners.engine.shapes import MediaGrid
from runners.engine.store.symbols import SymbolTable


@dataclass(frozen=True)
class MediaSegment:
    """The vision tokens of one medium in a prompt.

    Attributes:
        key: content key of the medium.
        start, end: token indices, half open.
        position: position of its start; its tokens' positions are relative to that.
    """

    key: str
    grid: MediaGrid
    start: int
    end: int
    position: int

    @property
    def tokens(self) -> int:
        """Number of vision tokens."""
        return self.end - self.start


@dataclass(frozen=True)
class Layout:
    """All tokens of a prompt.

    Attributes:
        ids: token ids, placeholders for vision tokens, ``(tokens,)`` int64 on the CPU.
        positions: ``(axes, tokens)`` on the CPU.
        segments: the media, in order.
        symbols: equal for equal content: text ids, and for vision tokens their content key's own
            negative numbers, ``(tokens,)``; prefixes are compared by them.
        next_position: position of the first generated token.
    """

    ids: Tensor
    positions: Tensor
    segments: tuple[MediaSegment, ...]
    symbols: NDArray[np.int64]
    next_position: int

    @property
    def tokens(self) -> int:
        """Length of the prompt."""
        return len(self.ids)

    @property
    def vision_tokens(self) -> int:
        """Number of vision tokens of all media."""
        return sum(segment.tokens for segment in self.segments)


def lay_out(
    adapter: Adapter,
    prompt: RenderedPrompt,
    keys: Sequence[str],
    grids: Sequence[MediaGrid],
    table: SymbolTable,
    room: int,
) -> Layout:
    """Lay out text and media one after the other; PromptTooLong when ``room`` more tokens exceed the context."""
    ids: list[Tensor] = []
    positions: list[Tensor] = []
    symbols: list[NDArray[np.int64]] = []
    segments: list[MediaSegment] = []
    length = position = 0
    for index, text in enumerate(prompt.texts):
        token_ids = torch.tensor(text, dtype=torch.int64)
        ids.append(token_ids)
        symbols.append(token_ids.numpy())
        positions.append((torch.arange(len(text)) + position).expand(adapter.shape.rope_axes, -1))
        length, position = length + len(text), position + len(text)
        if index < len(grids):
            grid, key = grids[index], keys[index]
            media_ids = adapter.media_ids(grid)
            tokens = len(media_ids)
            ids.append(media_ids)
            symbols.append(table.symbols(key, tokens))
            positions.append(adapter.media_positions(grid) + position)
            segments.append(MediaSegment(key, grid, length, length + tokens, position))
            length, position = length + tokens, position + adapter.media_advance(grid)
    if length + room > adapter.shape.context:
        raise PromptTooLong(
            f"the prompt's {length} tokens and {room} new ones do not fit "
            f"the model's context of {adapter.shape.context}"
        )
    return Layout(torch.cat(ids), torch.cat(positions, dim=1), tuple(segments), np.concatenate(symbols), int(position))
