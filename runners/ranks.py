"""Tell which of the processes of one model this is, as torchrun's environment says. No torch here.

That environment is as trusted as the command line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from workloads.errors import UsageError


@dataclass(frozen=True)
class Launch:
    """A process that torchrun started, one of several that run one model together.

    Attributes:
        rank: from 0 on, of ``size``; rank 0 leads, the others follow.
        local_rank: from 0 on, among the ``local_size`` processes of this machine.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def follows(self) -> bool:
        """Whether another process reads the requests, and keeps and tells the answers."""
        return self.rank > 0


class RankLost(Exception):
    """Another process of the model ended, or did not answer in time."""


class RanksDiffer(RuntimeError):
    """Processes of one model decided differently, so that what they compute does not belong together."""


def launched() -> Launch | None:
    """Read what torchrun says of this process; None where it runs a model alone.

    Raises:
        UsageError: the environment is not one that torchrun makes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    try:
        rank, size, local_rank, local_size = (
            int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        )
    except (KeyError, ValueError) as error:
        raise UsageError(f"started by torchrun, whose environment is incomplete ({error}): use torchrun") from error
    return Launch(rank, size, local_rank, local_size) if size > 1 else None


def refuse_launch(command: str) -> None:
    """UsageError where torchrun started several processes for a command that runs in one."""
    if launched() is not None:
        raise UsageError(
            f"started by torchrun, but {command} runs in one process: torchrun is for vlcache bench and vlcache sweep"
        )
