"""From a published shape to a model that answers: config, random weights, tokenizer and image processor."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import torch
import transformers
from transformers import AutoModelForImageTextToText
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from runners.engine.adapters.registry import require_supported
from runners.models.memory import require_memory
from runners.models.placement import place
from runners.models.shapes.catalogue import Shape
from runners.models.shapes.tokenizer import build_shape_tokenizer
from runners.models.shapes.weights import fill

SEED = 0
RECIPE = 1  # another one where the same shape gets other weights


def assemble(name: str, shape: Shape, dtype: torch.dtype, device: str, device_map: str) -> tuple[Any, Any, Any]:
    """The model on its device, its tokenizer and its Pillow image processor.

    The model has no end token: what random weights answer is as long as it may be, so that it costs the same for all.

    Args:
        device, device_map: see ``placement.place``.

    Raises:
        UnsupportedModel: there is no adapter for its architecture.
        UsageError: it does not fit, or there is no such device. Nothing is allocated before that is known.
    """
    require_supported(shape.family.name)
    model = outline(shape, dtype)
    where = place(name, device, device_map, lambda: model)
    require_memory(name, model, where)
    fill(model, where, SEED)
    model.generation_config.eos_token_id = None
    settings = dict(shape.family.image_processor)
    image_processor: Callable[..., Any] = getattr(transformers, settings.pop("class"))
    return model.eval(), build_shape_tokenizer(shape.family), image_processor(**settings)


def outline(shape: Shape, dtype: torch.dtype) -> Any:
    """The model on the meta device: every size, no memory."""
    config = CONFIG_MAPPING[shape.family.name](**shape.config)
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config, dtype=dtype)


def fingerprint(shape: Shape) -> str:
    """A hash of all that the assembled model follows from."""
    told = json.dumps([RECIPE, SEED, asdict(shape)], sort_keys=True)
    return sha256(told.encode()).hexdigest()
