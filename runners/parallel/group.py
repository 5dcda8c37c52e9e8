"""The process group of one model: joined, spoken through, and left; nobody waits in it for ever."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from runners.engine.errors import is_out_of_memory
from runners.parallel import failures
from runners.ranks import Launch, RankLost
from workloads.errors import UsageError

START = timedelta(hours=6)
"""How long processes wait for rank 0, which reads, draws or downloads what is asked before anything else."""

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for another one in the middle of a run."""

BEGUN = "begun"
EVERY = 0.2  # seconds between two looks whether rank 0 has begun
SIGNS = ("closed by peer", "reset by peer", "timed out", "timeout", "aborted", "broken pipe", "connection", "socket")
"""What errors of gloo, NCCL and torch's stores say when another process is gone."""


def require_devices(launch: Launch, device: str) -> None:
    """UsageError where the processes of this machine have no device each."""
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" and seen:
        raise UsageError("torchrun with --device cpu: hide the CUDA devices, with CUDA_VISIBLE_DEVICES=''")
    if device == "cuda" and not seen:
        raise UsageError("device 'cuda' was asked for, but torch sees no CUDA device: use --device cpu")
    if seen and seen < launch.local_size:
        raise UsageError(
            f"torchrun started {launch.local_size} processes here, and torch sees {seen} CUDA devices: "
            f"use --nproc-per-node {seen}"
        )


@contextmanager
def joined(launch: Launch) -> Iterator[None]:
    """Join the group of all processes, by NCCL on GPUs and gloo on CPUs, and leave it behind a body that succeeds.

    A process that fails leaves it by ending, which ends the others.

    Raises:
        RankLost: another process is gone.
    """
    with noticing_loss():
        store, rank, size = next(iter(rendezvous("env://", timeout=START)))
        store = PrefixStore(f"vlcache/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        failures.share(store, rank)
        if launch.follows:
            _await_leader(store)
        else:
            store.set(BEGUN, "yes")
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(launch.local_rank)
            backend = "cpu:gloo,cuda:nccl"
        store.set_timeout(TIMEOUT)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    with noticing_loss():
        yield
        dist.barrier()
        dist.destroy_process_group()
        failures.unshare()


def _await_leader(store: Any) -> None:
    """Wait until rank 0 is ready, awake for signals."""
    end = time.monotonic() + START.total_seconds()
    while not store.check([BEGUN]):
        if time.monotonic() > end:
            raise RankLost(f"rank 0 did not begin within {START}")
        time.sleep(EVERY)


def broadcast(told: Any = None) -> Any:
    """Hand what rank 0 tells to all processes, and return it there; pickled, so the processes trust each other."""
    given = [told]
    with noticing_loss():
        dist.broadcast_object_list(given, src=0, device=torch.device("cpu"))
    return given[0]


@contextmanager
def noticing_loss() -> Iterator[None]:
    """Turn errors of the body that come from the loss of another process into RankLost.

    Raises:
        UsageError: memory ran out here, which ends all: the others may wait in the middle of a layer.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise UsageError(
                "a process that shares the model ran out of memory: start more of them, or lower --device-budget"
            ) from error
        text = str(error).lower()
        if isinstance(error, dist.DistError) or any(sign in text for sign in SIGNS):
            raise RankLost("another process of the model ended or did not answer, and so ends this one") from error
        raise
