"""Qwen2.5-VL (arXiv 2502.13923): M-RoPE with chunked sections, one merged token per 2x2 patches.

Reads the modules of ``transformers.models.qwen2_5_vl``; nothing is copied or fused, so results follow the stock layers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from runners.engine.adapters.base import MediaGrid, Pixels, RenderedPrompt, TextShape
from runners.engine.errors import MediaError, PromptError, UnsupportedModel
from runners.engine.media import decode_clip, decode_image
from workloads.records import Media, MediaKind, Message, media_in

PLACEHOLDERS = re.compile(r"<\|(?:image|video)_pad\|>")
TEMPORAL_PATCH = 2


class Qwen25Layer:
    """One decoder layer; see ``TextLayer``."""

    def __init__(self, layer: nn.Module, shape: TextShape) -> None:
        attention: Any = layer.self_attn
        self._input_norm: Any = layer.input_layernorm
        self._output_norm: Any = layer.post_attention_layernorm
        self._mlp: Any = layer.mlp
        self._q, self._k, self._v, self._o = attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj
        self._shape = shape

    def project_kv(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See ``TextLayer``."""
        normed = self._input_norm(hidden)
        heads = (-1, self._shape.kv_heads, self._shape.head_dim)
        return normed, self._k(normed).view(heads).transpose(0, 1), self._v(normed).view(heads).transpose(0, 1)

    def project_q(self, normed: Tensor) -> Tensor:
        """See ``TextLayer``."""
        q: Tensor = self._q(normed)
        return q.view(-1, self._shape.heads, self._shape.head_dim).transpose(0, 1)

    def project_output(self, attended: Tensor) -> Tensor:
        """See ``TextLayer``."""
        output: Tensor = self._o(attended)
        return output

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """See ``TextLayer``."""
        hidden = hidden + self._o(attended)
        output: Tensor = hidden + self._mlp(self._output_norm(hidden))
        return output


class Qwen25VL:
    """See ``Adapter``."""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any) -> None:
        config = model.config
        text, self._vision = config.text_config, config.vision_config
        _refuse_what_cannot_be_rotated(text)
        _refuse_a_foreign_tokenizer(tokenizer, config)
        self.shape = TextShape(
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            heads=text.num_attention_heads,
            kv_heads=text.num_key_value_heads,
            head_dim=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
            intermediate=text.intermediate_size,
            vocabulary=text.vocab_size,
            context=text.max_position_embeddings,
            rope_axes=3,
        )
        self._text = model.model.language_model
        self._visual = model.model.visual
        self._head = model.lm_head
        self._tokenizer, self._image_processor = tokenizer, image_processor
        self._pad = {"image": config.image_token_id, "video": config.video_token_id}
        self.layers: Sequence[Qwen25Layer] = [Qwen25Layer(layer, self.shape) for layer in self._text.layers]
        weight = self._text.embed_tokens.weight
        self.device, self.dtype = weight.device, weight.dtype
        ends = model.generation_config.eos_token_id
        self.end_tokens = frozenset([ends] if isinstance(ends, int) else ends or [])

    def processor_fingerprint(self) -> str:
        """See ``Adapter``: the class (its pixel backend) and settings of the image processor, and the dtype."""
        settings = json.dumps(self._image_processor.to_dict(), sort_keys=True, default=str)
        name = f"{type(self._image_processor).__name__}\x00{settings}\x00{self.dtype}"
        return hashlib.sha256(name.encode()).hexdigest()

    def render(self, messages: Sequence[Message]) -> RenderedPrompt:
        """See ``Adapter``."""
        media = media_in(messages)
        chat = [{"role": message.role, "content": _parts(message)} for message in messages]
        try:
            text: str = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            text.encode()  # a lone surrogate has no UTF-8, and no tokens
        except ValueError as error:
            raise PromptError(f"the prompt cannot be rendered ({error})") from error
        pieces = PLACEHOLDERS.split(text)
        if len(pieces) != len(media) + 1:
            raise PromptError("a text of the prompt contains the token that stands for an image or a video; remove it")
        return RenderedPrompt(tuple(tuple(self._encode(piece)) for piece in pieces), media)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode_text(self, token_ids: Sequence[int]) -> str:
        """See ``Adapter``."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def preprocess(self, media: Media) -> Pixels:
        """See ``Adapter``. A clip goes through the image processor frame by frame, paired in time.

        That is the layout of the family's video processor without its dependence on torchvision; the frame
        size follows the limits for images.
        """
        if media.kind == "image":
            values, (time, height, width) = self._patches(media, decode_image(media))
            return Pixels(values, MediaGrid("image", time, height, width))
        clip = decode_clip(media)
        frames = [self._patches(media, frame) for frame in clip.frames]
        frames += frames[-1:] * (len(frames) % TEMPORAL_PATCH)
        _, (_, height, width) = frames[0]
        pairs = [
            _merge_in_time(first, second, self._vision.in_channels)
            for (first, _), (second, _) in zip(frames[::2], frames[1::2], strict=True)
        ]
        grid = MediaGrid("video", len(pairs), height, width, clip.frame_seconds * TEMPORAL_PATCH)
        return Pixels(torch.cat(pairs), grid)

    def _patches(self, media: Media, image: Any) -> tuple[Tensor, tuple[int, int, int]]:
        try:
            batch = self._image_processor(images=image, return_tensors="pt")
        except ValueError as error:
            raise MediaError(f"{media.name}: the image processor refuses it ({error})") from error
        time, height, width = (int(size) for size in batch["image_grid_thw"][0])
        return batch["pixel_values"], (time, height, width)

    def encode(self, pixels: Sequence[Pixels]) -> list[Tensor]:
        """See ``Adapter``."""
        values = torch.cat([item.values for item in pixels]).to(self.device, self.dtype)
        grids = torch.tensor([[p.grid.time, p.grid.height, p.grid.width] for p in pixels], device=self.device)
        features: Tensor = self._visual(values, grid_thw=grids).pooler_output
        return list(features.split([self.media_tokens(item.grid) for item in pixels]))

    def encoder_flops(self, grid: MediaGrid) -> float:
        """See ``Adapter``. Attention of windowed layers is counted within windows, of full ones within a time step."""
        vision = self._vision
        per_step = grid.height * grid.width
        patches = grid.time * per_step
        width, wide = vision.hidden_size, vision.intermediate_size
        block = 2 * patches * (4 * width * width + 3 * width * wide)
        window = min(per_step, (vision.window_size // vision.patch_size) ** 2)
        full_layers = len(set(vision.fullatt_block_indexes) & set(range(vision.depth)))
        attention = 4 * patches * width * (full_layers * per_step + (vision.depth - full_layers) * window)
        merged = width * vision.spatial_merge_size**2
        merger = 2 * self.media_tokens(grid) * merged * (merged + vision.out_hidden_size)
        embedding = 2 * patches * width * vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        return float(vision.depth * block + attention + merger + embedding)

    def media_tokens(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        return int(grid.time * grid.height * grid.width // self._vision.spatial_merge_size**2)

    def media_positions(self, grid: MediaGrid) -> Tensor:
        """See ``Adapter``: time, height, width; a video's time step spans ``tokens_per_second`` positions a second."""
        merge = self._vision.spatial_merge_size
        interval = self._vision.tokens_per_second * grid.seconds_per_step if grid.kind == "video" else 1
        times = (torch.arange(grid.time) * interval).long()
        axes = torch.meshgrid(
            times, torch.arange(grid.height // merge), torch.arange(grid.width // merge), indexing="ij"
        )
        return torch.stack(axes).reshape(3, -1)

    def media_advance(self, grid: MediaGrid) -> int:
        """See ``Adapter``."""
        return int(max(grid.height, grid.width) // self._vision.spatial_merge_size)

    def media_token_id(self, kind: MediaKind) -> int:
        """See ``Adapter``."""
        return int(self._pad[kind])

    def embed(self, ids: Tensor) -> Tensor:
        """See ``Adapter``."""
        embedded: Tensor = self._text.embed_tokens(ids)
        return embedded

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Adapter``."""
        like = torch.empty(0, device=self.device, dtype=self.dtype)
        cos, sin = self._text.rotary_emb(like, positions[:, None, :])
        return cos[0], sin[0]

    def head(self, hidden: Tensor) -> Tensor:
        """See ``Adapter``."""
        logits: Tensor = self._head(self._text.norm(hidden))
        return logits


def _parts(message: Message) -> list[dict[str, str]]:
    return [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": part.kind} for part in message.content
    ]


def _merge_in_time(first: Tensor, second: Tensor, channels: int) -> Tensor:
    """Two frames' patches, each with its frame repeated in time, as the patches of the pair: ``(patches, values)``."""
    shape = (len(first), channels, TEMPORAL_PATCH, -1)
    pair = torch.stack((first.view(shape)[:, :, 0], second.view(shape)[:, :, 1]), dim=2)
    return pair.reshape(len(first), -1)


def _refuse_what_cannot_be_rotated(text: Any) -> None:
    """UnsupportedModel for layouts in which a stored key is not a function of its relative position alone."""
    rope = text.rope_parameters.get("rope_type", "default")
    if rope != "default":
        raise UnsupportedModel(f"RoPE scaling '{rope}' may depend on the prompt's length; stored keys cannot be reused")
    if any(kind != "full_attention" for kind in text.layer_types):
        raise UnsupportedModel("sliding-window attention is not supported: set use_sliding_window to false")


def _refuse_a_foreign_tokenizer(tokenizer: Any, config: Any) -> None:
    """UnsupportedModel for one without the model's placeholders or a chat template: its prompts would be garbage."""
    for token, expected in (("<|image_pad|>", config.image_token_id), ("<|video_pad|>", config.video_token_id)):
        if tokenizer.get_vocab().get(token) != expected:
            raise UnsupportedModel(f"its tokenizer does not encode {token} as {expected}: it is missing or another one")
    if not tokenizer.chat_template:
        raise UnsupportedModel("its tokenizer has no chat template")
