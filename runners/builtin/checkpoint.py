"""Training state on disk: model, heads and optimiser in one safetensors file (never pickled), replaced atomically."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

MODULE, OPTIMISER = "module.", "optimiser."


def save(path: Path, step: int, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Write the state after ``step`` steps."""
    tensors = {MODULE + name: parameter.detach() for name, parameter in module.named_parameters()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"{OPTIMISER}{index}.{key}": value for key, value in state.items()}
    tensors["step"] = torch.tensor(step)
    partial = path.with_suffix(".partial")
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, partial)
    os.replace(partial, path)


def load(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Restore the state; returns how many steps were done."""
    tensors = load_file(path)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(tensors[MODULE + name])
    whole = optimiser.state_dict()
    for key, value in tensors.items():
        if key.startswith(OPTIMISER):
            index, name = key.removeprefix(OPTIMISER).split(".", 1)
            whole["state"].setdefault(int(index), {})[name] = value
    optimiser.load_state_dict(whole)
    return int(tensors["step"])
