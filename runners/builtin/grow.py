"""A model that begins as a trained one, perhaps a shallower one: new layers at first do nothing, then learn.

Net2DeeperNet (arXiv 1511.05641): a new layer's output projections start at zero, so the function is unchanged. They
stand behind the first layer, which moves everything the shallow model does to greater depth.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from workloads.errors import UsageError

BEHIND = 1  # layers of the shallow model that stay before the new ones


def grow_from(model: Qwen2_5_VLForConditionalGeneration, shallow: Path) -> None:
    """Give ``model`` the weights in directory ``shallow``; the layers it has more are silenced.

    Raises:
        UsageError: ``shallow`` has more layers.
    """
    source = Qwen2_5_VLForConditionalGeneration.from_pretrained(shallow, local_files_only=True, use_safetensors=True)
    layers, known = model.model.language_model.layers, source.model.language_model.layers
    new = len(layers) - len(known)
    if new < 0:
        raise UsageError(f"{shallow} has {len(known)} layers: to grow from it, ask for as many or more with --layers")
    model.model.visual.load_state_dict(source.model.visual.state_dict())
    model.model.language_model.embed_tokens.load_state_dict(source.model.language_model.embed_tokens.state_dict())
    model.model.language_model.norm.load_state_dict(source.model.language_model.norm.state_dict())
    for index, layer in enumerate(known):
        layers[index if index < BEHIND else index + new].load_state_dict(layer.state_dict())
    with torch.no_grad():
        for layer in layers[BEHIND : BEHIND + new]:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
