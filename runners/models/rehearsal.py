"""Rehearse what every request needs, on one small picture and one token, so that bad settings fail before measuring."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from runners.engine.adapters.base import Adapter, Pixels
from runners.engine.errors import UnsupportedModel
from workloads.records import Media

EDGES = 64, 48  # pixels of the picture


@torch.inference_mode()
def rehearse_picture(adapter: Adapter) -> Pixels:
    """Run the image processor on a small picture; whatever is raised is a fault of its settings.

    Raises:
        MediaError, UnsupportedModel: it refuses the picture, or makes numbers of it that are not finite.
    """
    file = io.BytesIO()
    Image.new("RGB", EDGES, "white").save(file, "PNG")
    picture = Media("image", file.getvalue(), "a small picture")
    with np.errstate(all="ignore"):
        pixels = adapter.preprocess(picture, adapter.variant([picture]))
    if not bool(torch.isfinite(pixels.values).all()):
        raise UnsupportedModel("its image processor makes numbers of a white picture that are not finite")
    return pixels


@torch.inference_mode()
def rehearse_model(adapter: Adapter, pixels: Pixels) -> None:
    """Encode a picture, and run one token through the first layer; whatever is raised is a fault of the model's config.

    Raises:
        UnsupportedModel: sizes differ, or rotary angles are not finite.
    """
    shape = adapter.shape
    (features,) = adapter.encode([pixels])
    tokens, width = adapter.media_tokens(pixels.grid), (1 + shape.deepstack) * shape.hidden
    if features.shape != (tokens, width):
        raise UnsupportedModel(f"its encoder gives {tuple(features.shape)} numbers for {tokens} tokens of {width}")
    cos, sin = adapter.rotary(torch.ones(shape.rope_axes, 1, dtype=torch.int64, device=adapter.device))
    if cos.shape != (1, shape.head_dim) or not bool((torch.isfinite(cos) & torch.isfinite(sin)).all()):
        raise UnsupportedModel("the angles of its rotary embedding are not finite numbers, one for each of a head's")
    layer, hidden = adapter.layers[0], adapter.embed(torch.zeros(1, dtype=torch.int64, device=adapter.device))
    _, q, k, _ = layer.project_qkv(hidden)
    if len(q) != shape.own_heads or len(k) != shape.own_kv_heads or shape.heads % shape.kv_heads:
        raise UnsupportedModel(f"its {shape.heads} heads and {shape.kv_heads} of keys do not go together")
    adapter.head(layer.finish(hidden, q.transpose(0, 1).flatten(1)))
