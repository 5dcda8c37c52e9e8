"""Qwen3-VL (arXiv 2511.21631), dense and with experts: interleaved M-RoPE, DeepStack features, videos with timestamps.

Where a prompt has a video, its frames stand one after the other, each behind its time as text and between vision marks.
All of that is the video's own: its segment begins with the first timestamp and ends with the last mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from runners.engine.adapters.base import Pixels, RenderedPrompt
from runners.engine.adapters.qwen_vl import QwenVL
from runners.engine.shapes import MediaGrid
from workloads.records import Message

START, END = "<|vision_start|>", "<|vision_end|>"


class Qwen3VL(QwenVL):
    """See ``Adapter``."""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any) -> None:
        super().__init__(model, tokenizer, image_processor)
        self._start, self._end = (tokenizer.convert_tokens_to_ids(mark) for mark in (START, END))

    def render(self, messages: Sequence[Message]) -> RenderedPrompt:
        """See ``Adapter``. The marks that the template puts around a video go: its frames bring their own."""
        prompt = super().render(messages)
        texts = [list(text) for text in prompt.texts]
        for index, item in enumerate(prompt.media):
            if item.kind == "video":
                if texts[index][-1:] == [self._start]:
                    texts[index].pop()
                if texts[index + 1][:1] == [self._end]:
                    texts[index + 1].pop(0)
        return RenderedPrompt(tuple(tuple(text) for text in texts), prompt.media)

    def encode(self, pixels: Sequence[Pixels]) -> list[Tensor]:
        """See ``Adapter``. Text that belongs to a video has its own embedding, and nothing to add."""
        found, pad = super().encode(pixels), self._pad["video"]
        return [self._among_text(item.grid, rows, pad) for item, rows in zip(pixels, found, strict=True)]

    def _encoder_widths(self) -> tuple[int, int, int]:
        return self._vision.hidden_size, self._vision.intermediate_size, 2

    def media_tokens(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        return len(self.media_ids(grid))

    def media_ids(self, grid: MediaGrid) -> Tensor:
        """See ``Adapter``."""
        if grid.kind == "image":
            return torch.full((self._merged(grid),), self._pad["image"])
        pads = [self._pad["video"]] * (self._merged(grid) // grid.time)
        return torch.tensor([token for head in self._heads(grid) for token in (*head, *pads, self._end)])

    def _heads(self, grid: MediaGrid) -> list[list[int]]:
        """What stands before the pads of every time step."""
        return [[*self._ids(f"<{seconds:.1f} seconds>"), self._start] for seconds in grid.timestamps]

    def media_positions(self, grid: MediaGrid) -> Tensor:
        """See ``Adapter``: a video's time steps are pictures of their own, with text between them."""
        if grid.kind == "image":
            return super().media_positions(grid)
        frame = super().media_positions(MediaGrid("image", 1, grid.height, grid.width))
        pieces, at = [], 0
        for head in self._heads(grid):
            pieces += [torch.arange(at, at + len(head)).expand(3, -1), frame + at + len(head)]
            at += len(head) + super().media_advance(grid)
            pieces.append(torch.full((3, 1), at))
            at += 1
        return torch.cat(pieces, dim=1)

    def media_advance(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        if grid.kind == "image":
            return super().media_advance(grid)
        return sum(len(head) + super(Qwen3VL, self).media_advance(grid) + 1 for head in self._heads(grid))
