"""Place a model: on the device of the flag, or on the one where accelerate finds room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from runners.engine.parallel import ranks
from runners.models.choices import AUTO
from runners.ranks import launched, refuse_launch
from workloads.errors import UsageError


def place(name: str, device: str, device_map: str, outline: Callable[[], Any]) -> torch.device:
    """Choose the device that a model is loaded on.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        device_map: ``single`` for that device, ``auto`` for the one where accelerate finds room.
        outline: makes the model on the meta device; asked only where its sizes matter.

    Raises:
        UsageError: there is no such device, or one is not enough, or this is one of several processes of a command
            that runs in one.
    """
    if ranks() == 1:
        refuse_launch("this command")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device 'cuda' was asked for, but torch sees no CUDA device: use --device cpu")
    if device_map == AUTO:
        if device != AUTO:
            raise UsageError(f"--device {device} and --device-map auto exclude each other: drop one")
        return _with_room(name, outline)
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == AUTO else device
    launch = launched()
    return torch.device(kind if launch is None or kind == "cpu" else f"{kind}:{launch.local_rank}")


def _with_room(name: str, outline: Callable[[], Any]) -> torch.device:
    """Find the first device that takes all of a model; the engine runs no model that is spread over several."""
    try:
        from accelerate import infer_auto_device_map
    except ImportError as error:
        raise UsageError(
            "--device-map auto needs accelerate: pip install 'vlcache[device-map]', or drop the option"
        ) from error
    model = outline()
    parts = infer_auto_device_map(model, no_split_module_classes=sorted(model._no_split_modules or ()))
    found = list(dict.fromkeys(str(part) for part in parts.values()))
    if len(found) > 1 or found[0] == "disk":
        raise UsageError(
            f"model '{name}' fits on no device whole: --device-map auto would spread it over {', '.join(found)}, "
            "and spread models cannot be run yet; use a narrower --dtype or a smaller model"
        )
    return torch.device(f"cuda:{found[0]}" if found[0].isdigit() else found[0])
