"""Build the reader: SmolLM2's weights and the solved tower, as a Hugging Face directory in LLaVA-1.5's form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken
from torch import Tensor
from transformers import GenerationConfig, LlavaConfig, LlavaForConditionalGeneration
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.utils import logging

from runners.reader import language_model, tower
from runners.reader.card import write_card
from runners.reader.printed import Printed
from runners.reader.template import CHAT_TEMPLATE, IMAGE
from workloads.pages.cells import CELL, SIDE


class BuildError(RuntimeError):
    """The tower that was solved does not read every token right."""


@dataclass(frozen=True)
class Reading:
    """How well the tower reads: relative errors of the embeddings, ``|found - wanted| / |wanted|``."""

    tokens: int
    mean_error: float
    largest_error: float


def build(folder: Path, weights: Path, printed: Printed, tell: Callable[[str], None]) -> None:
    """Write the whole model into an empty folder.

    Args:
        weights: the GGUF file of SmolLM2-135M-Instruct.
        tell: is told in a few words what is being done.

    Raises:
        BuildError: the tower reads a token wrong.
        OSError: the disk refuses.
    """
    logging.disable_progress_bar()
    tell("reading the language model")
    gguf = language_model.open_gguf(weights)
    tokenizer = language_model.read_tokenizer(gguf)
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken(IMAGE, special=True, normalized=False)]})
    tokenizer.chat_template = CHAT_TEMPLATE
    images = image_processor()
    model = _llava(language_model.read_weights(gguf), len(tokenizer) - 1)  # the placeholder is the last token
    tell("solving for the vision tower")
    reading = solve_tower(model, images, printed, printed.token_ids(tokenizer))
    tell("writing the model")
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=[2, 0], pad_token_id=2)
    for part in (model, tokenizer, images):
        part.save_pretrained(folder)
    write_card(folder, reading.tokens, reading.mean_error, reading.largest_error)


def image_processor() -> CLIPImageProcessorPil:
    """Make the image processor: pages keep their pixels, any other picture is scaled to the size of a page."""
    size = {"height": SIDE * CELL, "width": SIDE * CELL}
    half = [0.5, 0.5, 0.5]
    return CLIPImageProcessorPil(size=size, do_center_crop=False, image_mean=half, image_std=half)


def _llava(weights: dict[str, Tensor], image_token: int) -> Any:
    """Make the model with SmolLM2's weights, and one more token for pictures.

    The row of that token is the mean of all rows, so its logit is the mean of all logits: never the largest.
    """
    config = LlavaConfig(
        text_config=language_model.build_config(image_token + 1).to_dict(),
        vision_config=tower.vision_config(language_model.HIDDEN, SIDE, CELL),
        image_token_index=image_token,
        image_seq_length=SIDE * SIDE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config).eval()
    embeddings = weights["embed_tokens.weight"]
    weights = weights | {"embed_tokens.weight": torch.cat([embeddings, embeddings.mean(dim=0, keepdim=True)])}
    model.model.language_model.load_state_dict(weights)
    model.tie_weights()
    return model


def solve_tower(model: Any, images: CLIPImageProcessorPil, printed: Printed, ids: list[int]) -> Reading:
    """Solve the tower for the printed tokens, then read them with the finished model; all must be right."""
    embeddings = model.get_input_embeddings().weight.detach()
    wanted = embeddings[torch.tensor(ids)]
    pages = images(images=printed.pages(), return_tensors="pt")["pixel_values"]
    tower.solve(model, pages, wanted)
    found = tower.read(model, pages, len(ids))
    wrong = (tower.nearest(found, embeddings) != torch.tensor(ids)).nonzero()[:, 0].tolist()
    if wrong:
        texts = ", ".join(repr(printed.cells[place]) for place in wrong[:5])
        raise BuildError(f"the tower reads {len(wrong)} of {len(ids)} tokens wrong, {texts} first")
    errors = (found - wanted).norm(dim=1) / wanted.norm(dim=1)
    return Reading(len(ids), float(errors.mean()), float(errors.max()))
