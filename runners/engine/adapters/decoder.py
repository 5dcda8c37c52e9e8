"""Decoder layers of all supported families: Llama's (arXiv 2302.13971), with or without Q/K norms.

They call the modules of transformers; nothing is copied, so results equal the stock layers', to the last bit until
fused.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from runners.engine.adapters.base import RenderedPrompt
from runners.engine.adapters.chat import encoded, render
from runners.engine.adapters.fused import Fused, Separate, fuse_linears, fuse_mlp
from runners.engine.attention.base import Attention
from runners.engine.attention.sdpa import Sdpa
from runners.engine.errors import UnsupportedModel
from runners.engine.media.sampling import DEFAULT_SAMPLING
from runners.engine.parallel import own_part, ranks
from runners.engine.shapes import KVShape, MediaGrid, TextShape
from workloads.records import Media, MediaKind, Message


class DecoderLayer:
    """One decoder layer; see ``TextLayer``.

    Attributes:
        fused: which projections are fused: ``qkv``, ``gate_up``.
    """

    def __init__(self, layer: nn.Module, shape: TextShape) -> None:
        attention: Any = layer.self_attn
        self._input_norm: Any = layer.input_layernorm
        self._output_norm: Any = layer.post_attention_layernorm
        self._mlp: Any = layer.mlp
        self._q, self._k, self._v, self._o = attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj
        self._qkv: Separate | Fused = Separate(self._q, self._k, self._v)
        self._kv: Separate | Fused = Separate(self._k, self._v)
        self._q_norm, self._k_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
        self._shape = shape
        self.fused: tuple[str, ...] = ()

    def fuse(self) -> None:
        """Fuse Q, K and V, and gate and up, where the modules allow it."""
        qkv, mlp = fuse_linears(self._q, self._k, self._v), fuse_mlp(self._mlp)
        if qkv is not None:
            self._qkv, self._kv = qkv, qkv.without_first()
            self.fused += ("qkv",)
        if mlp is not None:
            self._mlp = mlp
            self.fused += ("gate_up",)

    def project_qkv(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See ``TextLayer``."""
        normed = self._input_norm(hidden)
        q, k, v = self._qkv(normed)
        return normed, self._heads(q, self._q_norm), self._heads(k, self._k_norm), self._heads(v)

    def project_kv(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See ``TextLayer``."""
        normed = self._input_norm(hidden)
        k, v = self._kv(normed)
        return normed, self._heads(k, self._k_norm), self._heads(v)

    def project_q(self, normed: Tensor) -> Tensor:
        """See ``TextLayer``."""
        return self._heads(self._q(normed), self._q_norm)

    def project_output(self, attended: Tensor) -> Tensor:
        """See ``TextLayer``."""
        output: Tensor = self._o(attended) if ranks() == 1 else linear(attended, own_part(self._o.weight))
        return output

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """See ``TextLayer``. Layers with experts need a batch axis."""
        hidden = hidden + self._o(attended)
        output: Tensor = hidden + self._mlp(self._output_norm(hidden)[None])[0]
        return output

    def _heads(self, projected: Tensor, norm: Any = None) -> Tensor:
        """Split ``(tokens, heads * head_dim)`` into ``(heads, tokens, head_dim)``, normed where there is a norm."""
        heads: Tensor = projected.unflatten(-1, (-1, self._shape.head_dim))
        if norm is not None:
            heads = norm(heads)
        return heads.transpose(0, 1)


class DecoderAdapter:
    """The part of an adapter that all families share; see ``Adapter``.

    Args:
        text: the module with ``embed_tokens``, ``layers``, ``norm`` and ``rotary_emb``.
        holes: the placeholder token of each kind of medium that the family supports.
    """

    def __init__(
        self,
        model: Any,
        text: Any,
        shape: TextShape,
        tokenizer: Any,
        image_processor: Any,
        holes: Mapping[MediaKind, str],
    ) -> None:
        self.shape = replace(shape, parts=ranks())
        self._text, self._head = text, model.lm_head
        self._tokenizer, self._image_processor, self._holes = tokenizer, image_processor, dict(holes)
        self.layers: Sequence[DecoderLayer] = [DecoderLayer(layer, self.shape) for layer in text.layers]
        weight = text.embed_tokens.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.weight_bytes = sum(own_part(weight).nbytes for weight in model.parameters())
        self.sampling = DEFAULT_SAMPLING
        self.attention: Attention = Sdpa()
        ends = model.generation_config.eos_token_id
        self.end_tokens = frozenset([ends] if isinstance(ends, int) else ends or [])

    @property
    def kv_shape(self) -> KVShape:
        """See ``Adapter``."""
        shape = self.shape
        return KVShape(
            layers=shape.layers,
            kv_heads=shape.own_kv_heads,
            head_dim=shape.head_dim,
            page=self.attention.page,
            device=self.device,
            dtype=self.dtype,
        )

    @property
    def fused(self) -> tuple[str, ...]:
        """See ``Adapter``."""
        return tuple(part for part in self.layers[0].fused if all(part in layer.fused for layer in self.layers))

    def fuse(self) -> None:
        """See ``Adapter``."""
        for layer in self.layers:
            layer.fuse()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()  # else freed blocks are kept, too small for the next layer

    def processor_fingerprint(self) -> str:
        """See ``Adapter``: class (its pixel backend) and settings of the image processor, dtype, and frames taken."""
        settings = json.dumps(self._image_processor.to_dict(), sort_keys=True, default=str)
        name = f"{type(self._image_processor).__name__}\x00{settings}\x00{self.dtype}\x00{self.sampling}"
        return hashlib.sha256(name.encode()).hexdigest()

    def render(self, messages: Sequence[Message]) -> RenderedPrompt:
        """See ``Adapter``."""
        return render(self._tokenizer, messages, self._holes, self.shape.context)

    def decode_text(self, token_ids: Sequence[int]) -> str:
        """See ``Adapter``."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def variant(self, media: Sequence[Media]) -> str:
        """See ``Adapter``: nothing, where a medium is encoded by itself."""
        return ""

    def embed(self, ids: Tensor) -> Tensor:
        """See ``Adapter``."""
        embedded: Tensor = self._text.embed_tokens(ids)
        return embedded

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Adapter``."""
        like = torch.empty(0, device=self.device, dtype=self.dtype)
        cos, sin = self._text.rotary_emb(like, positions if len(positions) == 1 else positions[:, None, :])
        return cos[0], sin[0]

    def head(self, hidden: Tensor) -> Tensor:
        """See ``Adapter``."""
        logits: Tensor = self._head(self._text.norm(hidden))
        return logits

    def _among_text(self, grid: MediaGrid, features: Tensor, pad: int) -> Tensor:
        """Put features where a medium has ``pad`` tokens; its text gets its own embedding, and nothing by DeepStack."""
        if grid.kind == "image":
            return features
        ids = self.media_ids(grid).to(self.device)
        rows = features.new_zeros(len(ids), features.shape[1])
        rows[:, : self.shape.hidden] = self.embed(ids)
        rows[ids == pad] = features
        return rows

    @abstractmethod
    def media_ids(self, grid: MediaGrid) -> Tensor:
        """See ``Adapter``."""
        ...

    def _ids(self, text: str) -> list[int]:
        """Token ids of a piece of a prompt."""
        return encoded(self._tokenizer, text)


def text_shape(text: Any, rope_axes: int, deepstack: int = 0) -> TextShape:
    """The sizes in a text config; UnsupportedModel when stored keys of such a model cannot be reused."""
    _refuse_what_cannot_be_rotated(text)
    experts = getattr(text, "num_experts_per_tok", None)
    return TextShape(
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        heads=text.num_attention_heads,
        kv_heads=text.num_key_value_heads,
        head_dim=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
        intermediate=experts * text.moe_intermediate_size if experts else text.intermediate_size,
        vocabulary=text.vocab_size,
        context=text.max_position_embeddings,
        rope_axes=rope_axes,
        deepstack=deepstack,
        experts=experts or 0,
    )


def _refuse_what_cannot_be_rotated(text: Any) -> None:
    """UnsupportedModel for layouts in which a stored key is not a function of its relative position alone."""
    rope = text.rope_parameters.get("rope_type", "default")
    if rope not in ("default", "dynamic"):  # within the context, to which prompts are held, dynamic scales nothing
        raise UnsupportedModel(f"RoPE scaling '{rope}' may depend on the prompt's length; stored keys cannot be reused")
    if any(kind != "full_attention" for kind in getattr(text, "layer_types", None) or ()):
        raise UnsupportedModel("sliding-window attention is not supported: set use_sliding_window to false")
