"""Requirements of kernels that are not torch's own, checked on this machine."""

from __future__ import annotations

from importlib.util import find_spec

import torch

NO_CUDA = "it needs a CUDA device"
OLDEST = (8, 0)  # compute capability: the first with bfloat16


def installed(package: str) -> bool:
    """Whether a package is installed; it is not imported."""
    return find_spec(package) is not None


def too_old(device: torch.device) -> str | None:
    """Say why a CUDA device is too old for such kernels; None when it is not."""
    found = torch.cuda.get_device_capability(device)
    if found >= OLDEST:
        return None
    wanted, got = (".".join(map(str, capability)) for capability in (OLDEST, found))
    return f"it needs a GPU of compute capability {wanted} or newer, and this one has {got}"


def lacks_triton(device: torch.device) -> str | None:
    """Say why Triton kernels cannot run on a device; None when they can. A CPU needs Triton's interpreter."""
    if device.type != "cuda":
        return None if installed("triton") and _interprets() else NO_CUDA
    return too_old(device) if installed("triton") else "triton is not installed: pip install triton"


def _interprets() -> bool:
    """Whether TRITON_INTERPRET=1 was set."""
    from triton import knobs

    return bool(knobs.runtime.interpret)
