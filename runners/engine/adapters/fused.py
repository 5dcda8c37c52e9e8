"""Fused projections of the same input, one matrix product: Q, K and V of a layer, and gate and up of its MLP.

Their weights lie in one tensor, one below the other, and the stock modules' parameters become views of it: nothing is
in memory twice, and the stock forward runs on the same numbers as before. Both see a change of a parameter; a model
whose parameters are moved elsewhere, to another device or format, has to be fused anew, by a new adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

GATED = {"gate_proj", "up_proj", "down_proj", "act_fn"}


class Separate:
    """Projections of the same input, each a module of its own."""

    def __init__(self, *modules: Any) -> None:
        self._modules = modules

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        """Project ``(..., features)`` by each module."""
        return [module(x) for module in self._modules]


class Fused:
    """Linear projections of the same input, in one product.

    Args:
        weight, bias: of all projections together, ``(rows, features)`` and ``(rows,)``.
        rows: number of rows of each projection.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: Sequence[int]) -> None:
        self._weight, self._bias, self._rows = weight, bias, list(rows)

    def __call__(self, x: Tensor) -> Sequence[Tensor]:
        """Project ``(..., features)``; the results are views of one tensor, side by side in its last dimension."""
        parts: Sequence[Tensor] = linear(x, self._weight, self._bias).split(self._rows, dim=-1)
        return parts

    def without_first(self) -> Fused:
        """All projections but the first, on the same weights."""
        first, *rest = self._rows
        return Fused(self._weight[first:], None if self._bias is None else self._bias[first:], rest)


class FusedMlp:
    """A gated MLP, ``down(act(gate(x)) * up(x))`` (arXiv 2002.05202), of two products instead of three."""

    def __init__(self, gate_up: Fused, mlp: Any) -> None:
        self._gate_up, self._act, self._down = gate_up, mlp.act_fn, mlp.down_proj

    def __call__(self, x: Tensor) -> Tensor:
        """Run the MLP on ``(..., hidden)``."""
        output: Tensor = self._down(self._gated(x))
        return output

    def _gated(self, x: Tensor) -> Tensor:
        gate, up = self._gate_up(x)
        activated: Tensor = self._act(gate)
        return activated.mul_(up)


@torch.no_grad()
def fuse_linears(*modules: Any) -> Fused | None:
    """Move the weights of linear layers into one tensor; None, with nothing changed, where that is not possible.

    It is possible for plain layers without hooks, of the same input features, dtype and device, all or none with a
    bias, each parameter with memory of its own: not tied, not on the meta device, not fused already.
    """
    if not all(type(module) is nn.Linear and _is_unhooked(module) for module in modules):
        return None
    parameters = [parameter for module in modules for parameter in module.parameters()]
    forms = {(module.in_features, module.bias is None) for module in modules}
    kinds = {(type(parameter), parameter.dtype, parameter.device) for parameter in parameters}
    if len(forms) > 1 or len(kinds) > 1 or not _are_alone(parameters):
        return None
    weight = _join([module.weight for module in modules])
    bias = None if modules[0].bias is None else _join([module.bias for module in modules])
    return Fused(weight, bias, [module.out_features for module in modules])


def fuse_mlp(mlp: Any) -> FusedMlp | None:
    """Fuse gate and up of a decoder layer's MLP; None as well for an MLP of another form, such as with experts."""
    if not isinstance(mlp, nn.Module) or dict(mlp.named_children()).keys() != GATED or not _is_unhooked(mlp):
        return None
    gate_up = fuse_linears(mlp.gate_proj, mlp.up_proj)
    return None if gate_up is None else FusedMlp(gate_up, mlp)


def _are_alone(parameters: Sequence[Any]) -> bool:
    """Whether each is a plain tensor that shares its memory with no other; false on the meta device, without memory."""
    if any(type(parameter) is not nn.Parameter for parameter in parameters):
        return False
    own = all(parameter.untyped_storage().nbytes() == parameter.nbytes for parameter in parameters)
    return own and len({parameter.data_ptr() for parameter in parameters}) == len(parameters)


def _join(parameters: Sequence[Any]) -> Tensor:
    """Concatenate parameters to one tensor, of which they become views; their old memory is freed."""
    joined = torch.cat([parameter.data for parameter in parameters])
    for parameter, rows in zip(parameters, joined.split([len(parameter) for parameter in parameters]), strict=True):
        parameter.data = rows
    return joined


def _is_unhooked(module: nn.Module) -> bool:
    """Whether a call runs the class's own forward alone: no hook of torch, no forward of accelerate."""
    return not (module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))
