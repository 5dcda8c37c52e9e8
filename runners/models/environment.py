"""Ask torch about this machine: devices, threads, attention backends."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Devices:
    """Threads torch computes with, CUDA devices by name, and the CUDA version torch was built for."""

    threads: int
    cuda_devices: tuple[str, ...]
    cuda_version: str | None


def visible_devices() -> Devices:
    """Ask torch; ImportError or OSError when it cannot be loaded."""
    import torch

    names = tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return Devices(torch.get_num_threads(), names, torch.version.cuda)


def attention_backends() -> dict[str, str | None]:
    """Tell why each attention backend cannot run here, None where it can: on the first CUDA device, else on the CPU."""
    import torch

    from runners.engine.attention.backends import obstacles

    return obstacles(torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu"))


def describe_device(device: torch.device) -> dict[str, Any]:
    """Describe the device a model runs on for the manifest: name, threads and CUDA version."""
    seen = visible_devices()
    if device.type != "cuda":
        return {"device_name": platform.processor() or platform.machine(), "threads": seen.threads}
    return {
        "device_name": seen.cuda_devices[device.index or 0],
        "threads": seen.threads,
        "cuda": seen.cuda_version,
    }
