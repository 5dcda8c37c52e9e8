"""The reader's vision tower: one CLIP layer, solved in closed form, that maps a printed token to its input embedding.

No weight is trained. A patch of the tower is one cell of a page. Position embeddings, class token and the output of
attention are zero, so every patch is read by itself; the first matrix of the MLP is random (random features, Rahimi and
Recht 2007), the second is the ridge regression from these features to the input embedding of the token in the cell.
The projector is LLaVA-1.5's with GELU, scaled so far down that GELU is a multiplication by a half.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

FEATURES = 4096  # random features, more than there are tokens to read
RIDGE = 1e-6  # of the mean square of a token's features
SEED = 0
SCALE = 2.0**-8  # GELU(x) is x / 2 up to 0.8 x^2; a power of two loses no bits


def vision_config(hidden: int, side: int, cell: int) -> dict[str, Any]:
    """Describe the tower: ``side`` cells of ``cell`` pixels along each edge of a page, ``hidden`` numbers for each."""
    return {
        "model_type": "clip_vision_model",
        "hidden_size": hidden,
        "intermediate_size": FEATURES,
        "num_hidden_layers": 1,
        "num_attention_heads": hidden // 64,
        "image_size": side * cell,
        "patch_size": cell,
        "projection_dim": hidden,
        "hidden_act": "quick_gelu",
    }


@torch.no_grad()
def solve(model: Any, pages: Tensor, wanted: Tensor) -> None:
    """Set the weights of a ``LlavaForConditionalGeneration``'s tower and projector.

    Args:
        pages: float32 ``(pages, 3, edge, edge)``, the pixels of pages whose cells hold the tokens in order.
        wanted: float32 ``(tokens, hidden)``, their embeddings; cells behind the last token are ignored.
    """
    tower = vision_model(model)
    hidden = wanted.shape[1]
    _draw_fixed_weights(tower)
    projector = model.model.multi_modal_projector
    projector.linear_1.weight.copy_(torch.eye(hidden) * SCALE)
    projector.linear_2.weight.copy_(torch.eye(hidden) * (2 / SCALE))
    projector.linear_1.bias.zero_()
    projector.linear_2.bias.zero_()
    mlp = tower.encoder.layers[0].mlp
    weight, bias = _ridge(*_features(tower, pages, len(wanted)), wanted)
    mlp.fc2.weight.copy_(weight)
    mlp.fc2.bias.copy_(bias)


@torch.no_grad()
def read(model: Any, pages: Tensor, tokens: int) -> Tensor:
    """Read pages as the model does: embeddings ``(tokens, hidden)`` of the first cells."""
    batches = [model.get_image_features(pixel_values=page[None]).pooler_output[0] for page in pages]
    return torch.cat(batches)[:tokens]


def nearest(found: Tensor, embeddings: Tensor) -> Tensor:
    """Find for each of ``found`` ``(tokens, hidden)`` the token whose embedding has the largest cosine with it."""
    return (normalize(found, dim=1) @ normalize(embeddings, dim=1).T).argmax(1)


def vision_model(model: Any) -> Any:
    """Return the CLIP model in a LLaVA; releases of transformers differ in where it is."""
    tower = model.model.vision_tower
    return getattr(tower, "vision_model", tower)


def _draw_fixed_weights(tower: Any) -> None:
    """Set everything but the second matrix of the MLP: zeros, and random numbers by a seed."""
    generator = torch.Generator().manual_seed(SEED)
    embeddings, layer = tower.embeddings, tower.encoder.layers[0]
    patch, first = embeddings.patch_embedding.weight, layer.mlp.fc1
    embeddings.class_embedding.zero_()
    embeddings.position_embedding.weight.zero_()
    patch.normal_(0, patch[0].numel() ** -0.5, generator=generator)
    for projection in ("q_proj", "k_proj", "v_proj"):
        weight = getattr(layer.self_attn, projection).weight
        weight.normal_(0, weight.shape[1] ** -0.5, generator=generator)
        getattr(layer.self_attn, projection).bias.zero_()
    layer.self_attn.out_proj.weight.zero_()
    layer.self_attn.out_proj.bias.zero_()
    first.weight.normal_(0, 2 * first.in_features**-0.5, generator=generator)
    first.bias.normal_(0, 0.5, generator=generator)
    for norm in (tower.pre_layrnorm, layer.layer_norm1, layer.layer_norm2, tower.post_layernorm):
        norm.weight.fill_(1)
        norm.bias.zero_()


def _features(tower: Any, pages: Tensor, tokens: int) -> tuple[Tensor, Tensor]:
    """Compute in float64 what enters the MLP's sum for each cell, ``(tokens, hidden)``, and its random features."""
    double = tower.double()
    layer = double.encoder.layers[0]
    states, features = [], []
    for page in pages.double():
        state = double.pre_layrnorm(double.embeddings(page[None]))[0, 1:]  # the first is the class token
        states.append(state)
        features.append(layer.mlp.activation_fn(layer.mlp.fc1(layer.layer_norm2(state))))
    tower.float()
    return torch.cat(states)[:tokens], torch.cat(features)[:tokens]


def _ridge(states: Tensor, features: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Solve for the second layer of the MLP, weight ``(hidden, features)`` and bias ``(hidden,)``, in float64.

    The layer adds to the residual stream ``states``, so it is to give ``wanted - states``. Ridge regression in its dual
    form: there are fewer tokens than features.
    """
    with_bias = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)
    gram = with_bias @ with_bias.T
    gram.diagonal().add_(RIDGE * gram.diagonal().mean())
    solution = with_bias.T @ torch.linalg.solve(gram, wanted.double() - states)
    return solution[:-1].T, solution[-1]
