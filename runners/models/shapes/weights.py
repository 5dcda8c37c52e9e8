"""Random weights, fast: one block of random numbers, copied all over the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK = 1_000_003  # numbers drawn; a prime, so that no row of a matrix is a copy of another one
STD = 0.02  # of weights, as transformers draws them


def fill(model: Any, device: torch.device, seed: int) -> None:
    """Give a model that is on the meta device its memory, seeded random weights, and the buffers it computes itself.

    Norms and biases do nothing. The weights are made on the device, at the speed of its memory: what crosses the bus is
    one block of random numbers. These are drawn on the host, so that the weights are the same on every device.
    """
    model.to_empty(device=device)
    model.tie_weights()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
        parameter._is_hf_initialized = True  # leaves to transformers what is no parameter: rotary frequencies, indices
    model.initialize_weights()
    draws = torch.Generator().manual_seed(seed)
    block = torch.randn(BLOCK, generator=draws).mul_(STD).to(device)
    for name, parameter in model.named_parameters():
        start = int(torch.randint(BLOCK, (), generator=draws))
        if parameter.dim() > 1:
            _repeat(parameter, block.roll(start).to(parameter))
        else:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)


def _repeat(parameter: Tensor, block: Tensor) -> None:
    """Write a block, ``(numbers,)``, over all of a parameter, as often as it takes."""
    flat = parameter.view(-1)
    whole = len(flat) // len(block) * len(block)
    flat[:whole].view(-1, len(block)).copy_(block)
    flat[whole:].copy_(block[: len(flat) - whole])
