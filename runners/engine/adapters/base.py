"""The contract of an adapter: one model family, described as the engine needs it.

The engine calls the language model's layers itself, on any subset of tokens, so an adapter hands out their parts.
Tensors have no batch axis: hidden states are ``(tokens, hidden)``, keys and values ``(kv_heads, tokens, head_dim)``,
queries ``(heads, tokens, head_dim)``; all before RoPE unless said otherwise. Where a model is divided among processes
(``runners.engine.parallel``), heads are those of this process, and hidden states and logits are whole in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from runners.engine.attention.base import Attention
from runners.engine.media.sampling import FrameSampling
from runners.engine.shapes import KVShape, MediaGrid, TextShape
from workloads.records import Media, Message


@dataclass(frozen=True)
class Pixels:
    """A preprocessed medium: the input of the vision encoder, e.g. ``values`` of ``(patches, patch values)``."""

    values: Tensor
    grid: MediaGrid


@dataclass(frozen=True)
class RenderedPrompt:
    """A chat prompt as token ids with holes: ``texts`` has one entry more than ``media``."""

    texts: tuple[tuple[int, ...], ...]
    media: tuple[Media, ...]


class TextLayer(Protocol):
    """One decoder layer, split into the parts that the engine calls by themselves."""

    def project_qkv(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Norm the hidden states and project Q, K and V: ``normed, q, k, v``.

        The three may be views of one tensor: use ``project_kv`` where K and V are kept, or Q stays in memory, too.
        """
        ...

    def project_kv(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normed hidden states, K before RoPE (after k-norm where there is one), and V."""
        ...

    def project_q(self, normed: Tensor) -> Tensor:
        """Q before RoPE (after q-norm where there is one)."""
        ...

    def project_output(self, attended: Tensor) -> Tensor:
        """The output projection of ``(tokens, heads * head_dim)`` to ``(tokens, hidden)``.

        Where heads are divided among processes, the part of it that adds up to the whole over all of them, less a bias.
        """
        ...

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """Add the projected attention output to the residual stream and run the MLP."""
        ...


class Adapter(Protocol):
    """One loaded model of a family."""

    shape: TextShape
    layers: Sequence[TextLayer]
    device: torch.device
    dtype: torch.dtype
    end_tokens: frozenset[int]
    sampling: FrameSampling
    attention: Attention
    weight_bytes: int  # of this process

    @property
    def kv_shape(self) -> KVShape:
        """What memory for its keys and values depends on, with the attention backend that it has now."""
        ...

    @property
    def fused(self) -> tuple[str, ...]:
        """Which projections are fused in every layer: ``qkv``, ``gate_up``."""
        ...

    def fuse(self) -> None:
        """Fuse projections of the same input into one matrix product, where the model's modules allow it.

        Weights are moved layer by layer, so that no more than a layer's are in memory twice. Results change by rounding
        alone.
        """
        ...

    def processor_fingerprint(self) -> str:
        """Hash of everything besides a medium's bytes that its encoder output depends on."""
        ...

    def render(self, messages: Sequence[Message]) -> RenderedPrompt:
        """Apply the chat template and tokenise; PromptError when a text contains a media placeholder.

        A last message of the assistant is continued: no header of another message follows it.
        """
        ...

    def decode_text(self, token_ids: Sequence[int]) -> str:
        """Decode token ids to text, without special tokens."""
        ...

    def variant(self, media: Sequence[Media]) -> str:
        """Name what the encoder output depends on in a prompt besides each medium's bytes; part of the content keys."""
        ...

    def preprocess(self, media: Media, variant: str = "") -> Pixels:
        """Decode a media file; MediaError when it cannot be read."""
        ...

    def encode(self, pixels: Sequence[Pixels]) -> list[Tensor]:
        """Encode media to the rows that represent them in a prompt, each ``(tokens, (1 + deepstack) * hidden)``.

        The first ``hidden`` numbers of a row are its input embedding, the others are added after the first layers.
        """
        ...

    def encoder_flops(self, grid: MediaGrid) -> float:
        """FLOPs of ``encode`` for one medium."""
        ...

    def media_tokens(self, grid: MediaGrid) -> int:
        """Number of tokens of a medium, including those of text that belongs to it."""
        ...

    def token_grid(self, grid: MediaGrid) -> tuple[int, int, int]:
        """Frames, rows and columns of a medium's tokens; zeros where they form no single grid over it."""
        ...

    def media_positions(self, grid: MediaGrid) -> Tensor:
        """Positions of a medium's tokens, relative to its start: ``(axes, tokens)``."""
        ...

    def media_advance(self, grid: MediaGrid) -> int:
        """Difference between the positions of the next token and of the medium's start."""
        ...

    def media_ids(self, grid: MediaGrid) -> Tensor:
        """The token ids of a medium: placeholders, and text that belongs to it; ``(tokens,)``."""
        ...

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings, ``(tokens, hidden)``."""
        ...

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin for ``(axes, tokens)`` positions, each ``(tokens, head_dim)``."""
        ...

    def head(self, hidden: Tensor) -> Tensor:
        """Final norm and output head: ``(tokens, hidden)`` to ``(tokens, vocabulary)``."""
        ...
