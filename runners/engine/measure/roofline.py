"""The roofline of this device: measured ceilings of memory and arithmetic (the roofline model, CACM 52, 2009).

The floor of a request's time follows from them and from its FLOPs and bytes, see ``runners.records.Demand``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from runners.engine.kv.fetch import to_host
from runners.engine.measure.timing import synchronize

MATRIX = {"cpu": 1024, "cuda": 8192}
SMALLEST, LARGEST = 1 << 20, 1 << 28
TRIES = 5


@dataclass(frozen=True)
class Ceilings:
    """The best rates that a device reached.

    Attributes:
        flops_per_s: of a large square matrix product in the model's number format.
        bytes_per_s: of a copy of as many bytes as the model's weights have, read and written; fewer might fit into a
            cache and be copied faster.
        host_bytes_per_s: of a copy of as many bytes from the host's memory to the device, each counted once.
    """

    flops_per_s: float
    bytes_per_s: float
    host_bytes_per_s: float


@torch.inference_mode()
def measure_ceilings(device: torch.device, dtype: torch.dtype, working_set: int) -> Ceilings:
    """Measure a device, in well under a second; ``working_set``: bytes that every request reads."""
    side = MATRIX.get(device.type, MATRIX["cpu"])
    left, right = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(left)
    source = torch.ones(min(max(working_set, SMALLEST), LARGEST) // 2, device=device, dtype=torch.int8)
    target = torch.empty_like(source)
    on_host = to_host(source)
    return Ceilings(
        flops_per_s=2.0 * side**3 / _shortest(lambda: torch.mm(left, right, out=product), device),
        bytes_per_s=2.0 * len(source) / _shortest(lambda: target.copy_(source), device),
        host_bytes_per_s=len(source) / _shortest(lambda: target.copy_(on_host, non_blocking=True), device),
    )


def _shortest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest try, after one that is not counted."""
    times = []
    for _ in range(TRIES + 1):
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])
