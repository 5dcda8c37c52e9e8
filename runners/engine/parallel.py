"""Sum over ranks what each process computes of its own heads, and check that all processes decide alike.

Tensor parallelism (Megatron-LM, arXiv 1909.08053): every process has the heads of its part, and a part of each MLP; the
hidden states are whole everywhere. What tells tokens apart is computed of heads, so it is summed over all processes
before anything is decided by it: then all decide alike. In a single process nothing is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from runners.ranks import RanksDiffer


def ranks() -> int:
    """Number of processes that run the model together; 1 for this one alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_ranks(own: Tensor) -> Tensor:
    """Add up the tensors of all processes, the same everywhere; ``own`` itself in a single process."""
    if ranks() == 1:
        return own
    total = own.clone()
    dist.all_reduce(total)
    return total


def everywhere(own: bool) -> bool:
    """Whether something holds in all processes, each of which looks at its own heads."""
    return int(sum_over_ranks(torch.tensor(int(own)))) == ranks()


def bytes_over_ranks(own: int | None) -> int | None:
    """Add up bytes over all processes; None where one of them does not know its own."""
    total, unknown = sum_over_ranks(torch.tensor([own or 0, own is None])).tolist()
    return None if unknown else int(total)


def own_part(weight: Tensor) -> Tensor:
    """Take the part of a weight that this process has; all of it in a single process."""
    if ranks() == 1:
        return weight
    from torch.distributed.tensor import DTensor

    return weight.to_local() if isinstance(weight, DTensor) else weight


def require_agreement(what: str, decision: Callable[[], bytes]) -> None:
    """Check that all processes decided the same; in a single process nothing is asked.

    Raises:
        RanksDiffer: they did not.
    """
    if ranks() == 1:
        return
    number = int.from_bytes(hashlib.sha256(decision()).digest()[:7])
    own = torch.tensor([number])
    found = [torch.empty_like(own) for _ in range(ranks())]
    dist.all_gather(found, own)
    if any(int(each) != number for each in found):
        raise RanksDiffer(f"the processes of the model differ in {what}: their machines or their models are not alike")


@contextmanager
def failing_alike(what: str) -> Iterator[None]:
    """Check that all processes finish the body, or that all fail in it: one that waits for a failed one waits long.

    Raises:
        RanksDiffer: some fail and others do not.
    """
    try:
        yield
    except Exception:
        require_agreement(what, lambda: b"failed")
        raise
    require_agreement(what, lambda: b"done")
