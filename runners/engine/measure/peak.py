"""Peak memory of a request, beyond what was allocated before it."""

from __future__ import annotations

from pathlib import Path

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMeter:
    """Measures from its creation on, where the driver (CUDA) or the kernel (Linux) keeps a high-water mark."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = self._reset()

    def taken(self) -> int | None:
        """Bytes at the peak beyond those allocated at the start; None where there is no high-water mark."""
        if self._before is None:
            return None
        peak = torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else _resident("VmHWM")
        return None if peak is None else max(0, peak - self._before)

    def _reset(self) -> int | None:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return torch.cuda.memory_allocated(self._device)
        try:
            RESET.write_text("5")  # the kernel's code for the high-water mark alone (proc(5))
        except OSError:
            return None
        return _resident("VmRSS")


def _resident(name: str) -> int | None:
    """Read a line of this process's status, in bytes."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
