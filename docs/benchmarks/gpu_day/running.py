"""Run a part to its end or its limit, and keep what it printed and how it ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gpu_day.ledger import Ledger, Result, Status
from gpu_day.parts import FOLDER, Part

ROOT = Path(__file__).parents[3]
GUARD = Path(__file__).with_name("guard.py")
UNFINISHED = 75  # exit code of a part that was short of time, and would go on
RESERVE_S = 15.0  # a part that shows what it has by then is told to be ready so long before its limit


def run(part: Part, ledger: Ledger, left_s: float, show: Callable[[str], None]) -> Result:
    """Run a part, in the time that is left, whatever becomes of it; pass on what it prints as it comes."""
    limit_s = min(part.limit_s, left_s)
    ledger.work(part).mkdir(parents=True, exist_ok=True)
    ledger.path(part, "").parent.mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    ledger.keep(part, Result(part.name, "begun", "broken off", part.arguments, 0.0, started))
    begun = time.monotonic()
    code, stopped = _run(part, ledger, limit_s, show)
    seconds = time.monotonic() - begun
    status, ended = _end(part, code, seconds, limit_s if stopped else None)
    result = Result(part.name, status, ended, part.arguments, seconds, started)
    ledger.keep(part, result)
    return result


def source_commit() -> str | None:
    """The commit of the source that the parts run; None where that is not known.

    Raises:
        ValueError: this Python cannot import what the parts run.
    """
    code = (
        "import vlcache_cli.app, reports.run.measurements, workloads.fingerprint; "
        "from reports.run.source_commit import source_commit as commit; print(commit() or '')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"this Python cannot import vlcache: {(done.stderr.splitlines() or ['no reason'])[-1]}")
    return done.stdout.strip() or None


def _end(part: Part, code: int, seconds: float, stopped_after_s: float | None) -> tuple[Status, str]:
    """How a part ended, and the same in words."""
    if stopped_after_s == part.limit_s:
        return "failed", f"stopped at its limit of {part.limit_s:g} s"
    if stopped_after_s is not None:
        return "unfinished", f"stopped after {seconds:.0f} s: no time was left"
    if code == UNFINISHED:
        return "unfinished", f"a part of it, in {seconds:.0f} s"
    return ("failed", f"exit code {code}") if code else ("passed", "passed")


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _run(part: Part, ledger: Ledger, limit_s: float, show: Callable[[str], None]) -> tuple[int, bool]:
    """Run the command under its guard: the exit code, and whether it was stopped."""
    work = str(ledger.work(part).resolve())
    arguments = part.command(work, max(limit_s - RESERVE_S, 1.0))
    stopped = threading.Event()
    with (
        ledger.path(part, ".out").open("w", encoding="utf-8") as kept,
        ledger.path(part, ".err").open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [sys.executable, str(GUARD), sys.executable, *arguments],
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        leash = process.stdin

        def stop() -> None:
            stopped.set()
            with suppress(OSError):
                leash.close()

        timer = threading.Timer(limit_s, stop)
        timer.start()
        try:
            for line in process.stdout:
                line = line.replace(work, FOLDER)  # a report names no places of its machine
                kept.write(line)
                kept.flush()
                show(line)
            return process.wait(), stopped.is_set()
        finally:
            timer.cancel()
            with suppress(OSError):
                leash.close()
