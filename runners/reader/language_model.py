"""Read SmolLM2-135M-Instruct from its GGUF file: the weights of a Llama, and its tokenizer.

``gguf`` parses the file and dequantises its 4-bit blocks; the file is known by its hash, so the sizes of the model are
constants here. SmolLM2: arXiv 2502.02737.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, PreTrainedTokenizerFast

HIDDEN = 576
VOCABULARY = 49_152
HEADS, KV_HEADS = 9, 3
BEGIN, END, UNKNOWN = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SPECIAL = 3  # the type of special tokens in a GGUF file

NAMES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""Names of tensors in GGUF files, and in transformers' Llama."""


def build_config(tokens: int = VOCABULARY) -> LlamaConfig:
    """Describe SmolLM2-135M with a vocabulary of ``tokens``; token ids as in its own configuration."""
    return LlamaConfig(
        vocab_size=tokens,
        hidden_size=HIDDEN,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )


def open_gguf(file: Path) -> Any:
    """Open a GGUF file as ``gguf.GGUFReader``: its tensors stay on disk until they are asked for."""
    from gguf import GGUFReader

    return GGUFReader(file)


def read_weights(reader: Any) -> dict[str, Tensor]:
    """Read all weights, dequantised to float32, by their names in transformers' ``LlamaModel``."""
    from gguf import dequantize

    weights = {}
    for tensor in reader.tensors:
        values = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        place, name = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", tensor.name).groups()  # type: ignore[union-attr]
        if name in ("attn_q", "attn_k"):
            values = _halves_apart(values, HEADS if name == "attn_q" else KV_HEADS)
        prefix = "" if place is None else f"layers.{place}."
        weights[f"{prefix}{NAMES[name]}.weight"] = values
    return weights


def _halves_apart(weight: Tensor, heads: int) -> Tensor:
    """Reorder the rows of a Q or K projection, ``(heads * head_dim, hidden)``, for RoPE as transformers computes it.

    GGUF files keep the two coordinates of each rotated pair side by side, transformers keeps them half a head apart.
    """
    pairs = weight.view(heads, -1, 2, weight.shape[1])
    return pairs.transpose(1, 2).reshape(weight.shape)


def read_tokenizer(reader: Any) -> PreTrainedTokenizerFast:
    """Read the tokenizer: byte-level BPE; digits are split apart before merging, as SmolLM2 was trained."""
    tokens = _texts(reader, "tokenizer.ggml.tokens")
    merges = [(left, right) for left, right in map(str.split, _texts(reader, "tokenizer.ggml.merges"))]
    kinds = reader.fields["tokenizer.ggml.token_type"]
    special = [token for token, part in zip(tokens, kinds.data, strict=True) if kinds.parts[part][0] == SPECIAL]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=END,
        unk_token=UNKNOWN,
        model_max_length=8192,
        clean_up_tokenization_spaces=False,
    )


def _texts(reader: Any, name: str) -> list[str]:
    """Read a list of texts from the metadata of a GGUF file."""
    field = reader.fields[name]
    return [bytes(field.parts[part]).decode() for part in field.data]
