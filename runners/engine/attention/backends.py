"""The registry of attention backends, and the choice of one for a model. No torch here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from workloads.errors import UsageError, unknown_name

if TYPE_CHECKING:
    import torch

    from runners.engine.attention.base import Attention

BACKENDS = {
    "sdpa": "runners.engine.attention.sdpa:Sdpa",
    "flash": "runners.engine.attention.flash:Flash",
    "flex": "runners.engine.attention.flex:Flex",
    "triton": "runners.engine.attention.triton_attention:TritonAttention",
}
AUTO = "auto"
PREFERRED = {"cuda": ("triton", "flash", "sdpa")}
"""Backends that ``auto`` tries, by type of device, best first: only ``triton`` is made for scattered tokens."""
OTHERWISE = ("sdpa",)


def choose_backend(name: str, device: torch.device, dtype: torch.dtype, head_dim: int | None = None) -> Attention:
    """Make the backend called ``name``, or for ``auto`` the first of ``PREFERRED`` that can run.

    Args:
        head_dim: of the model's heads; None when it is not yet known.

    Raises:
        UsageError: there is none of that name, or it cannot run on this machine or not with this model.
    """
    if name == AUTO:
        able = PREFERRED.get(device.type, OTHERWISE)
        name = next(other for other in able if _obstacle(backend_class(other), device, dtype, head_dim) is None)
    elif name not in BACKENDS:
        raise unknown_name("attention backend", name, [AUTO, *BACKENDS])
    chosen = backend_class(name)
    obstacle = _obstacle(chosen, device, dtype, head_dim)
    if obstacle is not None:
        raise UsageError(f"attention backend '{name}' cannot be used: {obstacle}; choose another --attn")
    return chosen()


def backend_class(name: str) -> type[Attention]:
    """Import the class of a backend; this needs torch, but not the backend's own library."""
    module, attribute = BACKENDS[name].split(":")
    return cast("type[Attention]", getattr(import_module(module), attribute))


def obstacles(device: torch.device) -> dict[str, str | None]:
    """Say of every backend why this machine cannot run it for models on ``device``; None where it can."""
    return {name: backend_class(name).lacks(device) for name in BACKENDS}


def _obstacle(backend: type[Attention], device: torch.device, dtype: torch.dtype, head_dim: int | None) -> str | None:
    """Say why a backend cannot run a model on this machine; None when it can."""
    return backend.lacks(device) or backend.refuses(dtype, head_dim)
