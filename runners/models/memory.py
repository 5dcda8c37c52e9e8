"""Check that a model fits in memory: estimate its need from its sizes, and find out what is free."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workloads.errors import UsageError

if TYPE_CHECKING:
    import torch

PROMPT_TOKENS = 4096  # of the longest prompt that is provided for
OVERHEAD_BYTES = 10**9  # libraries, and what a device's allocator keeps back
ROOT = Path("/")
NO_LIMIT = 1 << 60  # cgroups without a limit tell a huge one


def require_memory(name: str, model: Any, device: torch.device) -> None:
    """UsageError when a model, on whatever device it is, would not fit on ``device``, as far as that can be told."""
    needed, free = needed_bytes(model), free_bytes(device)
    if free is None or needed <= free:
        return
    dtype = str(model.dtype).removeprefix("torch.")
    narrower = "--dtype bfloat16 or " if dtype == "float32" else ""
    raise UsageError(
        f"model '{name}' needs about {_gigabytes(needed)} in {dtype}, and {_gigabytes(free)} are free on {device}: "
        f"use {narrower}a smaller model"
    )


def needed_bytes(model: Any) -> int:
    """Estimate what a model and one long prompt take; the stores' budgets come on top.

    The weights; keys and values of ``PROMPT_TOKENS`` tokens twice, in use and stored; for as many tokens the residual
    stream, what an MLP holds at a time, and the encoder's output; and ``OVERHEAD_BYTES``.
    """
    text = model.config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    kv = 2 * text.num_hidden_layers * text.num_key_value_heads * head
    activations = 4 * text.hidden_size + 3 * text.intermediate_size
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return int(weights + PROMPT_TOKENS * (2 * kv + activations) * model.dtype.itemsize + OVERHEAD_BYTES)


def free_bytes(device: torch.device) -> int | None:
    """Find out how many bytes can be allocated on a device; None where that cannot be told."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = [known for known in (_available(ROOT), *_left_in_groups(ROOT)) if known is not None]
    return min(free, default=None)


def _available(root: Path) -> int | None:
    """Read how many bytes a Linux kernel can allocate without swapping."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _left_in_groups(root: Path) -> Iterator[int]:
    """Read how many bytes each control group of this process leaves of its limit; droppable pages of files are free."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if not controllers:
            yield from _left(root / "sys/fs/cgroup", place, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _left(root / "sys/fs/cgroup/memory", place, *files)


def _left(mount: Path, place: str, limit: str, usage: str, droppable: str) -> Iterator[int]:
    """Read those of one hierarchy, from the process's group up to the mount."""
    group = mount / place.lstrip("/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(mount):
            return
        try:
            most, used = (folder / limit).read_text().strip(), int((folder / usage).read_text())
            pages = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except OSError:
            continue
        if most != "max" and int(most) < NO_LIMIT:
            yield int(most) - used + int(pages.get(droppable, 0))


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.{0 if size >= 10**10 else 1}f} GB"
