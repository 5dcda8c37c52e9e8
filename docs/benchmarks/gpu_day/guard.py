"""Runs a command in a process group of its own, and ends the whole group when it, or whoever began it, is gone.

    python docs/benchmarks/gpu_day/guard.py COMMAND...

Standard input is the leash: when it ends, because it was closed or because its other end was killed, all that the
command started is killed. Exit code: the command's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main() -> int:
    """Run the command; its exit code."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def hold() -> None:
        while os.read(0, 1):
            pass
        end(process.pid)

    threading.Thread(target=hold, daemon=True).start()
    code = process.wait()
    end(process.pid)
    return code if code >= 0 else 128 - code


def end(group: int) -> None:
    """Kill a process group, if anything of it is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
