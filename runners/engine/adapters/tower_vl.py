"""Families with a vision tower and a projector before a text model with plain positions.

A tower takes pictures of one size only. A medium becomes one or several of these: the picture scaled and cropped, its
tiles, or the frames of a clip.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from runners.engine.adapters.chat import require_chat
from runners.engine.adapters.decoder import DecoderAdapter, text_shape
from runners.engine.adapters.processing import run_image_processor
from runners.engine.errors import MediaError, UnsupportedModel
from runners.engine.shapes import MediaGrid
from workloads.records import Media, MediaKind

TEXT_MODELS = ("llama", "qwen2", "qwen3")


class TowerVL(DecoderAdapter):
    """See ``Adapter``. A grid's ``time`` counts the tower's input pictures.

    Args:
        pads: the placeholder of each kind of medium that the family supports, and its token id.
        towers: model types of the vision towers that are supported.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        image_processor: Any,
        pads: Mapping[MediaKind, tuple[str, int]],
        towers: tuple[str, ...],
    ) -> None:
        config = model.config
        _require("text model", config.text_config.model_type, TEXT_MODELS)
        _require("vision tower", config.vision_config.model_type, towers)
        require_chat(tokenizer, dict(pads.values()))
        self._model, self._config, self._vision = model.model, config, config.vision_config
        self._pads = {kind: number for kind, (_, number) in pads.items()}
        shape = text_shape(config.text_config, rope_axes=1)
        holes = {kind: token for kind, (token, _) in pads.items()}
        super().__init__(model, self._model.language_model, shape, tokenizer, image_processor, holes)

    @abstractmethod
    def media_tokens(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        ...

    def media_ids(self, grid: MediaGrid) -> Tensor:
        """See ``Adapter``."""
        return torch.full((self.media_tokens(grid),), self._pads[grid.kind])

    def token_grid(self, grid: MediaGrid) -> tuple[int, int, int]:
        """See ``Adapter``: pictures are cropped, padded or cut into tiles, so no grid covers the whole of one."""
        return 0, 0, 0

    def media_positions(self, grid: MediaGrid) -> Tensor:
        """See ``Adapter``: consecutive, as for text."""
        return torch.arange(self.media_tokens(grid))[None]

    def media_advance(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        return self.media_tokens(grid)

    def encoder_flops(self, grid: MediaGrid) -> float:
        """See ``Adapter``."""
        vision = self._vision
        patches, tokens = self._side**2, self._side**2 + self._class_tokens
        width, wide = vision.hidden_size, vision.intermediate_size
        block = tokens * (8 * width * width + 4 * width * wide) + 4 * tokens * tokens * width
        embedding = 2 * patches * width * vision.num_channels * _edge(vision.patch_size) ** 2
        return grid.time * float(vision.num_hidden_layers * block + embedding + self._projector_flops())

    @abstractmethod
    def _projector_flops(self) -> float:
        """FLOPs of the projector for one picture."""
        ...

    @property
    def _side(self) -> int:
        """Patches along an edge of the tower's picture."""
        return _edge(self._vision.image_size) // _edge(self._vision.patch_size)

    @property
    def _class_tokens(self) -> int:
        """Number of the tower's tokens besides the patches."""
        return 0 if self._vision.model_type == "siglip_vision_model" else 1

    def _pixels(self, media: Media, images: Any, **options: Any) -> Tensor:
        """Run the image processor; MediaError when it refuses the pictures, or the tower cannot take its output."""
        values: Tensor = run_image_processor(self._image_processor, media, images, **options)["pixel_values"]
        height, width = values.shape[-2:]
        edge = _edge(self._vision.image_size)
        if (height, width) != (edge, edge):
            raise MediaError(
                f"{media.name}: the image processor makes {width}x{height} pixels of it, but the model's vision "
                f"encoder takes {edge}x{edge}; mend the size in its preprocessor_config.json"
            )
        return values


def _edge(size: Any) -> int:
    """The edge of a square: configs give it once, or for both axes."""
    return int(size if isinstance(size, int) else size[0])


def _require(what: str, kind: str, supported: tuple[str, ...]) -> None:
    if kind not in supported:
        raise UnsupportedModel(f"its {what} '{kind}' is not supported; supported: {', '.join(supported)}")
