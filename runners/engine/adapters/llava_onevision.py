"""LLaVA-OneVision (arXiv 2408.03326): a picture alone in its prompt is encoded with its tiles, several without tiles.

So the encoder output of a picture depends on whether there are others, and its content key, too. A clip's frames are
pooled, four patches to a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from runners.engine.adapters.base import Pixels
from runners.engine.adapters.llava import decode_bounded, projector_flops
from runners.engine.adapters.tower_vl import TowerVL
from runners.engine.errors import UnsupportedModel
from runners.engine.media.clips import decode_clip
from runners.engine.shapes import MediaGrid
from workloads.records import Media, MediaKind

ALONE = "alone"
BLANK = Image.new("RGB", (1, 1))  # a second picture, without which the image processor would cut the first into tiles


class LlavaOneVision(TowerVL):
    """See ``Adapter``; an image's height and width are those of its file, for they decide on the tiles."""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any) -> None:
        config = model.config
        pads: dict[MediaKind, tuple[str, int]] = {
            "image": ("<image>", config.image_token_id),
            "video": ("<video>", config.video_token_id),
        }
        super().__init__(model, tokenizer, image_processor, pads, ("siglip_vision_model",))
        if _sizes(image_processor) != _sizes(config):
            raise UnsupportedModel("its config and its image processor differ in image_grid_pinpoints")

    def variant(self, media: Sequence[Media]) -> str:
        """See ``Adapter``."""
        return ALONE if sum(item.kind == "image" for item in media) == 1 else ""

    def preprocess(self, media: Media, variant: str = "") -> Pixels:
        """See ``Adapter``. Frames are scaled to the tower's square, as by the family's video processor."""
        if media.kind == "video":
            clip, edge = decode_clip(media, self.sampling), self._vision.image_size
            frames = [frame.resize((edge, edge), Image.Resampling.BICUBIC) for frame in clip.frames]
            pooled = -(-self._side // 2)
            grid = MediaGrid("video", len(frames), pooled, pooled, clip.frame_seconds)
            return Pixels(self._once(media, frames), grid)
        image = decode_bounded(media)
        values = self._pixels(media, image)[0] if variant == ALONE else self._once(media, [image])
        return Pixels(values, MediaGrid("image", len(values), image.height, image.width))

    def _once(self, media: Media, images: list[Image.Image]) -> Tensor:
        """Preprocess pictures without tiles."""
        return self._pixels(media, [[*images, BLANK]])[:-1, 0]

    def encode(self, pixels: Sequence[Pixels]) -> list[Tensor]:
        """See ``Adapter``. Pictures without tiles go through the tower together."""
        together = [item for item in pixels if _seen_once(item.grid)]
        found = iter(self._images(together))
        return [next(found) if _seen_once(item.grid) else self._encode_alone(item) for item in pixels]

    def _encode_alone(self, item: Pixels) -> Tensor:
        if item.grid.kind == "image":
            return self._images([item])[0]
        pixels = item.values[None].to(self.device, self.dtype)
        features = self._model.get_video_features(pixels).pooler_output[0, : self.media_tokens(item.grid) - 1]
        return torch.cat((features, self._model.image_newline[None]))  # not every release has added it

    def _images(self, pixels: Sequence[Pixels]) -> list[Tensor]:
        """Encode pictures: one with its tiles, or several without."""
        if not pixels:
            return []
        values = torch.cat([item.values for item in pixels]).to(self.device, self.dtype)
        sizes = torch.tensor([[item.grid.height, item.grid.width] for item in pixels])
        company = 2 * len(pixels) if _seen_once(pixels[0].grid) else 1
        found = self._model.get_image_features(values, sizes, batch_num_images=[company])
        return list(found.pooler_output)

    def media_tokens(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        if grid.kind == "video":
            return grid.time * grid.height * grid.width + 1
        blank = torch.zeros(grid.time, self._side**2, 1)
        packed, _ = self._model.pack_image_features(
            [blank], [(grid.height, grid.width)], torch.zeros(1), self._config.vision_aspect_ratio
        )
        return len(packed[0])

    def _projector_flops(self) -> float:
        return projector_flops(self._config, self._side**2)


def _seen_once(grid: MediaGrid) -> bool:
    return grid.kind == "image" and grid.time == 1


def _sizes(owner: Any) -> list[list[int]]:
    return [list(size) for size in getattr(owner, "image_grid_pinpoints", None) or ()]
