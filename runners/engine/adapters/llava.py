"""LLaVA-1.5 (arXiv 2310.03744): one picture of fixed size through CLIP, projected patch by patch.

Checkpoints with SigLIP's tower (LLaVA-NeXT-Interleave, arXiv 2407.07895) have the same form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from runners.engine.adapters.base import Pixels
from runners.engine.adapters.tower_vl import TowerVL
from runners.engine.errors import MediaError
from runners.engine.media.pictures import decode_image
from runners.engine.shapes import MediaGrid
from workloads.media.limits import MOST_PIXELS
from workloads.records import Media, MediaKind

MOST_ASPECT_RATIO = 200
MOST_PADDED_PIXELS = 4 * MOST_PIXELS  # of the square that a picture may be padded to


class Llava(TowerVL):
    """See ``Adapter``."""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any) -> None:
        pads: dict[MediaKind, tuple[str, int]] = {"image": ("<image>", model.config.image_token_id)}
        towers = ("clip_vision_model", "siglip_vision_model")
        super().__init__(model, tokenizer, image_processor, pads, towers)

    def preprocess(self, media: Media, variant: str = "") -> Pixels:
        """See ``Adapter``."""
        return Pixels(self._pixels(media, decode_bounded(media)), MediaGrid("image", 1, self._side, self._side))

    def media_tokens(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        return self._kept

    @property
    def _kept(self) -> int:
        """Number of tokens of a picture: the tower's, without the class token where the model leaves it out."""
        left_out = int(self._config.vision_feature_select_strategy == "default")
        return self._side**2 + self._class_tokens - left_out

    def encode(self, pixels: Sequence[Pixels]) -> list[Tensor]:
        """See ``Adapter``."""
        values = torch.cat([item.values for item in pixels]).to(self.device, self.dtype)
        return list(self._model.get_image_features(pixel_values=values).pooler_output)

    def _projector_flops(self) -> float:
        return projector_flops(self._config, self._kept)


def projector_flops(config: Any, tokens: int) -> float:
    """FLOPs of LLaVA's two-layer projector, whose input is all chosen layers of the tower side by side."""
    chosen, hidden = config.vision_feature_layer, config.text_config.hidden_size
    layers = 1 if isinstance(chosen, int) else len(chosen)
    return float(2 * tokens * hidden * (layers * config.vision_config.hidden_size + hidden))


def decode_bounded(media: Media) -> Image.Image:
    """Decode a picture; MediaError if scaling its short edge, or padding it to a square, would make it huge."""
    image = decode_image(media)
    long, short = max(image.size), min(image.size)
    if long > MOST_ASPECT_RATIO * short:
        raise MediaError(f"{media.name}: an aspect ratio above {MOST_ASPECT_RATIO} is not taken; crop it")
    if long * long > MOST_PADDED_PIXELS:
        raise MediaError(f"{media.name}: an edge of {long} pixels is too long for this model; scale it down")
    return image
