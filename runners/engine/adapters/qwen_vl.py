"""The Qwen-VL families: merged patches, M-RoPE positions, and a chat template with one pad per medium."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from runners.engine.adapters.base import Pixels
from runners.engine.adapters.chat import require_chat
from runners.engine.adapters.decoder import DecoderAdapter, text_shape
from runners.engine.adapters.processing import run_image_processor
from runners.engine.adapters.segments import attention_by_segments
from runners.engine.errors import UnsupportedModel
from runners.engine.media.clips import decode_clip
from runners.engine.media.pictures import decode_image
from runners.engine.shapes import MediaGrid
from workloads.reading import brief
from workloads.records import Media

TEMPORAL_PATCH = 2
PATCH_SIZES = {
    "patch_size": "patch_size",
    "merge_size": "spatial_merge_size",
    "temporal_patch_size": "temporal_patch_size",
}
"""Sizes of the image processor, and what the vision encoder calls them."""


class QwenVL(DecoderAdapter):
    """See ``Adapter``; grids are in patches."""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any) -> None:
        config = model.config
        pads = {"<|image_pad|>": config.image_token_id, "<|video_pad|>": config.video_token_id}
        require_chat(tokenizer, pads)
        _require_same_patches(config.vision_config, image_processor)
        self._vision = config.vision_config
        self._visual = model.model.visual
        self._pad = {"image": config.image_token_id, "video": config.video_token_id}
        deepstack = len(getattr(self._vision, "deepstack_visual_indexes", ()))
        super().__init__(
            model,
            model.model.language_model,
            text_shape(config.text_config, rope_axes=3, deepstack=deepstack),
            tokenizer,
            image_processor,
            {"image": "<|image_pad|>", "video": "<|video_pad|>"},
        )

    def preprocess(self, media: Media, variant: str = "") -> Pixels:
        """See ``Adapter``. A clip goes through the image processor frame by frame, paired in time.

        That is the layout of the family's video processor without its dependence on torchvision; the frame
        size follows the limits for images.
        """
        if media.kind == "image":
            values, (time, height, width) = self._patches(media, decode_image(media))
            return Pixels(values, MediaGrid("image", time, height, width))
        clip = decode_clip(media, self.sampling)
        frames = [self._patches(media, frame) for frame in clip.frames]
        moments = list(clip.moments)
        if len(frames) % TEMPORAL_PATCH:
            frames, moments = [*frames, frames[-1]], [*moments, moments[-1]]
        _, (_, height, width) = frames[0]
        pairs = [
            _merge_in_time(first, second, self._vision.in_channels)
            for (first, _), (second, _) in zip(frames[::2], frames[1::2], strict=True)
        ]
        middles = tuple((first + second) / 2 for first, second in zip(moments[::2], moments[1::2], strict=True))
        grid = MediaGrid("video", len(pairs), height, width, clip.frame_seconds * TEMPORAL_PATCH, middles)
        return Pixels(torch.cat(pairs), grid)

    def _patches(self, media: Media, image: Any) -> tuple[Tensor, tuple[int, int, int]]:
        batch = run_image_processor(self._image_processor, media, image)
        time, height, width = (int(size) for size in batch["image_grid_thw"][0])
        return batch["pixel_values"], (time, height, width)

    def encode(self, pixels: Sequence[Pixels]) -> list[Tensor]:
        """See ``Adapter``."""
        values = torch.cat([item.values for item in pixels]).to(self.device, self.dtype)
        grids = torch.tensor([[p.grid.time, p.grid.height, p.grid.width] for p in pixels], device=self.device)
        with attention_by_segments(self._visual):
            output = self._visual(values, grid_thw=grids)
        features = torch.cat([output.pooler_output, *(getattr(output, "deepstack_features", None) or ())], dim=1)
        return list(features.split([self._merged(item.grid) for item in pixels]))

    def encoder_flops(self, grid: MediaGrid) -> float:
        """See ``Adapter``."""
        vision = self._vision
        patches = grid.time * grid.height * grid.width
        width, wide, matrices = self._encoder_widths()
        block = 2 * patches * (4 * width * width + matrices * width * wide)
        attention = 4 * patches * width * self._patches_seen(grid)
        merged = width * vision.spatial_merge_size**2
        merger = 2 * self._merged(grid) * merged * (merged + self.shape.hidden)
        embedding = 2 * patches * width * vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        return float(vision.depth * block + attention + (1 + self.shape.deepstack) * merger + embedding)

    @abstractmethod
    def _encoder_widths(self) -> tuple[int, int, int]:
        """Widths of the vision encoder and of its MLP, and the number of the MLP's matrices."""
        ...

    def _patches_seen(self, grid: MediaGrid) -> int:
        """Number of patches that a patch sees, summed over layers: in each those of its time step."""
        return int(self._vision.depth * grid.height * grid.width)

    def _merged(self, grid: MediaGrid) -> int:
        """Number of vision tokens after merging patches."""
        return int(grid.time * grid.height * grid.width // self._vision.spatial_merge_size**2)

    def media_tokens(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        return self._merged(grid)

    def media_ids(self, grid: MediaGrid) -> Tensor:
        """See ``Adapter``."""
        return torch.full((self.media_tokens(grid),), self._pad[grid.kind])

    def token_grid(self, grid: MediaGrid) -> tuple[int, int, int]:
        """See ``Adapter``."""
        merge = self._vision.spatial_merge_size
        return grid.time, grid.height // merge, grid.width // merge

    def media_positions(self, grid: MediaGrid) -> Tensor:
        """See ``Adapter``: time, height, width."""
        time, height, width = self.token_grid(grid)
        times = (torch.arange(time) * self._time_interval(grid)).long()
        axes = torch.meshgrid(times, torch.arange(height), torch.arange(width), indexing="ij")
        return torch.stack(axes).reshape(3, -1)

    def _time_interval(self, grid: MediaGrid) -> float:
        """Difference in the temporal position between two time steps."""
        return 1.0

    def media_advance(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        return int(max(grid.height, grid.width) // self._vision.spatial_merge_size)


def _require_same_patches(vision: Any, image_processor: Any) -> None:
    """UnsupportedModel when the image processor cuts pictures into other patches than the encoder takes."""
    if vision.temporal_patch_size != TEMPORAL_PATCH:
        raise UnsupportedModel(f"its temporal_patch_size is {vision.temporal_patch_size}, not {TEMPORAL_PATCH}")
    for size, own in PATCH_SIZES.items():
        wanted, given = getattr(vision, own), getattr(image_processor, size, None)
        if given != wanted:
            raise UnsupportedModel(
                f"its image processor has a {size} of {brief(given)}, and its vision encoder one of {brief(wanted)}; "
                "take the preprocessor_config.json of the model itself"
            )


def _merge_in_time(first: Tensor, second: Tensor, channels: int) -> Tensor:
    """Merge two frames' patches, each repeated in time, to the patches of the pair: ``(patches, values)``."""
    shape = (len(first), channels, TEMPORAL_PATCH, -1)
    pair = torch.stack((first.view(shape)[:, :, 0], second.view(shape)[:, :, 1]), dim=2)
    return pair.reshape(len(first), -1)
