"""Run command lines of vlcache in processes that share a model, as torchrun starts them; one alone for comparison.

Forked from one process that has loaded what all need. Prints the exit codes as JSON; what each process printed lies in
files beside its group's name.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import runners.parallel.follower
from runners.parallel.group import broadcast
from vlcache_cli.app import main

PRELOADED = (
    "reports.run.changed_answers",
    "reports.run.measurements",
    "reports.run.new_manifest",
    "reports.summary.notices",
    "reports.summary.summarise",
    "runners.engine.adapters.qwen3_vl",
    "runners.engine.measure.roofline",
    "runners.models.checkpoint",
    "runners.parallel.leader",
    "torch.distributed.tensor",
    "transformers.models.qwen3_vl.modeling_qwen3_vl",
    "transformers.models.qwen2.tokenization_qwen2",
    "vlcache_cli.jobs.bench",
    "workloads.files.jsonl",
)
ONE = 1
AT_MOST = 120.0  # seconds


def run(group: dict[str, Any], rank: int, port: int) -> int:
    """Run a process of a group, and return its exit code."""
    size = group["processes"]
    if size > ONE:
        os.environ |= {
            "TORCHELASTIC_RUN_ID": "none",
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": str(port),
        }
        os.environ |= {name: str(rank) for name in ("RANK", "LOCAL_RANK")}
        os.environ |= {name: str(size) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")}
    for number, stream in ((1, "out"), (2, "err")):
        file = os.open(f"{group['name']}.{rank}.{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    if rank and group.get("lost_after"):
        _lose_after(group["lost_after"])
    return main(group["arguments"])


def _lose_after(commands: int) -> None:
    """Kill this process when rank 0 has told it so many things."""
    left = [commands]

    def counting() -> Any:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return broadcast()

    vars(runners.parallel.follower)["broadcast"] = counting


def start(group: dict[str, Any]) -> tuple[list[int], int]:
    """Fork the processes of a group; returns their ids, and the port at which they meet."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(group["processes"]):
        process = os.fork()
        if not process:
            code = 1
            try:
                code = run(group, rank, port)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        started.append(process)
    return started, port


def wait_for(processes: Sequence[int]) -> list[int]:
    """Wait until all processes ended, and kill those that take too long; returns their exit codes."""
    codes: dict[int, int] = {}
    end = time.monotonic() + AT_MOST
    while len(codes) < len(processes):
        for process in processes:
            if process not in codes:
                ended, status = os.waitpid(process, os.WNOHANG)
                if ended:
                    codes[process] = os.waitstatus_to_exitcode(status)
                elif time.monotonic() > end:
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
    return [codes[process] for process in processes]


if __name__ == "__main__":
    for module in PRELOADED:
        import_module(module)
    groups = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    started = [start(group) for group in groups]
    from torch._C._distributed_c10d import TCPStore

    stores = [
        TCPStore("localhost", port, is_master=True, wait_for_workers=False)
        for group, (_, port) in zip(groups, started, strict=True)
        if group["processes"] > ONE
    ]
    sys.stdout.write(json.dumps([wait_for(processes) for processes, _ in started]))
