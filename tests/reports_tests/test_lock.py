"""One process at a time writes to a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reports.profile.folder import ProfileFolder
from reports.run.lock import FILE, WriterLock
from reports.run.store import RunFolder
from workloads.errors import UsageError

HOLD = """
import sys
from pathlib import Path
from reports.run.lock import WriterLock
held = WriterLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
ROOT = Path(__file__).parents[2]


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    with RunFolder(tmp_path).claim():
        for claim in (RunFolder(tmp_path).claim, ProfileFolder(tmp_path).claim, lambda: WriterLock(tmp_path)):
            with pytest.raises(UsageError, match=r"is in use: another vlcache writes to it; wait until that ends, or"):
                claim()
    with WriterLock(tmp_path):
        pass
    assert not (tmp_path / FILE).exists()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="is in use"):
            WriterLock(tmp_path)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert (tmp_path / FILE).exists(), "what it leaves means nothing"
    WriterLock(tmp_path).release()
    assert [*tmp_path.iterdir()] == []


def test_the_lock_is_opened_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="it is a symbolic link"):
        WriterLock(tmp_path / "run")


def test_a_folder_that_holds_no_run_is_not_locked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        RunFolder(tmp_path).lock()
    assert [*tmp_path.iterdir()] == []


def test_no_file_stays_open(tmp_path: Path) -> None:
    before = open_files()
    for _ in range(3):
        with RunFolder(tmp_path).claim(), pytest.raises(UsageError):
            WriterLock(tmp_path)
    assert open_files() == before


def open_files() -> int:
    """Count the file descriptors of this process, where the system tells."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.is_dir() else 0
