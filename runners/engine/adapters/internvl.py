"""InternVL3 and 3.5 (arXiv 2504.10479, 2508.18265): a picture as tiles and a thumbnail, four patches to a token.

A clip's frames are a picture each, numbered in the prompt. A medium's segment begins and ends with a vision token: the
marks around it, and the first frame's number, are text of the prompt; what stands between its frames is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from runners.engine.adapters.base import Pixels, RenderedPrompt
from runners.engine.adapters.chat import render
from runners.engine.adapters.tower_vl import TowerVL
from runners.engine.media.clips import decode_clip
from runners.engine.media.pictures import decode_image
from runners.engine.shapes import MediaGrid
from workloads.records import Media, MediaKind, Message

START, PAD, END, VIDEO = "<img>", "<IMG_CONTEXT>", "</img>", "<video>"
AROUND = {PAD: f"{START}{PAD}{END}", VIDEO: f"Frame1: {START}{VIDEO}{END}"}


class InternVL(TowerVL):
    """See ``Adapter``; a grid's height and width are the tokens of one tile or frame."""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any) -> None:
        config, known = model.config, tokenizer.get_vocab()
        pads: dict[MediaKind, tuple[str, int]] = {"image": (PAD, config.image_token_id)}
        if VIDEO in known:
            pads["video"] = (VIDEO, known[VIDEO])
        super().__init__(model, tokenizer, image_processor, pads, ("internvl_vision",))

    def render(self, messages: Sequence[Message]) -> RenderedPrompt:
        """See ``Adapter``."""
        return render(self._tokenizer, messages, self._holes, self.shape.context, AROUND)

    def preprocess(self, media: Media, variant: str = "") -> Pixels:
        """See ``Adapter``. Pictures are cut into tiles, as the family's processor asks; frames are not."""
        if media.kind == "image":
            tiles = self._pixels(media, decode_image(media), crop_to_patches=True)
            return Pixels(tiles, self._grid(media, len(tiles)))
        clip = decode_clip(media, self.sampling)
        frames = self._pixels(media, list(clip.frames), crop_to_patches=False)
        return Pixels(frames, self._grid(media, len(frames), clip.frame_seconds))

    def _grid(self, media: Media, pictures: int, seconds: float = 1.0) -> MediaGrid:
        edge = int(self._side * self._config.downsample_ratio)
        return MediaGrid(media.kind, pictures, edge, edge, seconds)

    def encode(self, pixels: Sequence[Pixels]) -> list[Tensor]:
        """See ``Adapter``. Text between frames has its own embedding."""
        values = torch.cat([item.values for item in pixels]).to(self.device, self.dtype)
        features = self._model.get_image_features(pixel_values=values).pooler_output
        found = features.split([item.grid.time for item in pixels])
        pad = self._pads["image"]
        return [self._among_text(item.grid, rows.flatten(0, 1), pad) for item, rows in zip(pixels, found, strict=True)]

    def media_tokens(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        return len(self.media_ids(grid))

    def media_ids(self, grid: MediaGrid) -> Tensor:
        """See ``Adapter``."""
        pads = [self._pads["image"]] * (grid.height * grid.width)
        ids = list(pads)
        for number in range(2, grid.time + 1):
            between = self._ids(f"{END}\nFrame{number}: {START}") if grid.kind == "video" else []
            ids += [*between, *pads]
        return torch.tensor(ids)

    def _projector_flops(self) -> float:
        width, hidden = self._vision.hidden_size, self.shape.hidden
        tokens = int(self._side * self._config.downsample_ratio) ** 2
        return float(2 * tokens * hidden * (width * self._side**2 // tokens + hidden))
