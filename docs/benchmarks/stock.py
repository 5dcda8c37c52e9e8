"""The stock path of transformers, and a prefill alone, its own and the engine's, from the same embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from runners.base import Request
from runners.engine.adapters.base import Adapter
from runners.engine.kv.workspace import Workspace
from runners.engine.media.pictures import decode_image
from runners.engine.plan import Plan
from runners.engine.prefill import prefill
from runners.engine.prompt.tensors import PromptTensors
from workloads.records import media_in

PAD, HOLE = "<|image_pad|>", "<|hole|>"


@dataclass(frozen=True)
class Stock:
    """The path of a user of transformers alone."""

    model: Any
    tokenizer: Any
    images: Any

    def inputs(self, request: Request) -> dict[str, Tensor]:
        """Decode, preprocess, template, expand, tokenise."""
        media = media_in(request.messages)
        chat = [
            {
                "role": message.role,
                "content": [
                    {"type": "text", "text": part} if isinstance(part, str) else {"type": part.kind}
                    for part in message.content
                ],
            }
            for message in request.messages
        ]
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        batch = self.images(images=[decode_image(item) for item in media], return_tensors="pt")
        for grid in batch["image_grid_thw"]:
            text = text.replace(PAD, HOLE * int(grid.prod() // self.images.merge_size**2), 1)
        ids = self.tokenizer(text.replace(HOLE, PAD), return_tensors="pt").input_ids
        inputs = {"input_ids": ids, "mm_token_type_ids": (ids == self.model.config.image_token_id).int(), **batch}
        return {name: value.to(self.model.device) for name, value in inputs.items()}

    def first_token(self, request: Request) -> int:
        """From encoded files to the first token."""
        out = self.model.generate(**self.inputs(request), max_new_tokens=1, do_sample=False)
        return int(out[0, -1])


@dataclass(frozen=True)
class Prepared:
    """What a prefill starts from.

    Attributes:
        embedded: ``(tokens, hidden)``.
        positions: ``(3, tokens)``.
        media: which tokens stand for media, ``(tokens,)``.
        deepstack: what is added after each of the first layers, ``(layers, tokens, hidden)``; None for most families.
    """

    embedded: Tensor
    positions: Tensor
    media: Tensor
    deepstack: Tensor | None


def prepare(stock: Stock, request: Request) -> Prepared:
    """Encode and embed a request by the stock model."""
    inputs = stock.inputs(request)
    model, media = stock.model.model, inputs["mm_token_type_ids"][0].bool()
    found = model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"])
    embedded = model.get_input_embeddings()(inputs["input_ids"])[0]
    embedded[media] = torch.cat(found.pooler_output)
    levels = getattr(found, "deepstack_features", None) or ()
    deepstack = embedded.new_zeros(len(levels), *embedded.shape)
    for added, level in zip(deepstack, levels, strict=True):
        added[media] = level if isinstance(level, torch.Tensor) else torch.cat(level)  # one tensor in transformers 5.17
    positions, _ = model.get_rope_index(
        inputs["input_ids"], mm_token_type_ids=inputs["mm_token_type_ids"], image_grid_thw=inputs["image_grid_thw"]
    )
    return Prepared(embedded, positions[:, 0], media, deepstack if len(deepstack) else None)


def our_prefill(adapter: Adapter, workspace: Workspace, prepared: Prepared) -> Tensor:
    """The engine's prefill of everything, to the logits, ``(vocabulary,)``."""
    tokens = len(prepared.embedded)
    prompt = PromptTensors(prepared.embedded, *adapter.rotary(prepared.positions), prepared.deepstack)
    plan = Plan(torch.full((tokens,), adapter.shape.layers))
    result = prefill(adapter, prompt, workspace.kv(tokens), plan)
    return adapter.head(result.hidden)[0]


def stock_prefill(stock: Stock, prepared: Prepared) -> Tensor:
    """The stock language model with its cache, and the head of the last token, ``(vocabulary,)``."""
    added = {}
    if prepared.deepstack is not None:
        features = list(prepared.deepstack[:, prepared.media])
        added = {"visual_pos_masks": prepared.media[None], "deepstack_visual_embeds": features}
    out = stock.model.model.language_model(
        inputs_embeds=prepared.embedded[None], position_ids=prepared.positions[:, None], use_cache=True, **added
    )
    logits: Tensor = stock.model.lm_head(out.last_hidden_state[0, -1])
    return logits
