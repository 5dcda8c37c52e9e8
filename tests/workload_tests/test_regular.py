"""Regular files only: what is a pipe, a device, a link or too large is refused, and nothing waits."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from workloads.errors import UsageError
from workloads.reading.regular import open_regular, open_within, read_bounded, read_within


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that no folder under test may lead to."""
    file = tmp_path / "secret"
    file.write_bytes(b"secret")
    return file


@pytest.fixture
def folder(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_bytes(b"12345")
    (folder / "link").symlink_to(outside)
    (folder / "relative").symlink_to("inner/file")
    (folder / "behind").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(folder / "pipe")
    return folder


def test_a_file_inside_is_read(folder: Path) -> None:
    with open_within(folder, "inner/file") as stream:
        assert stream.read() == b"12345"
    assert read_within(folder, Path("inner") / "file", 5, "thing") == b"12345"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("link", "symbolic link"),
        ("relative", "symbolic link"),
        ("behind/secret", "symbolic link"),
        ("../secret", "outside"),
        ("inner/../../secret", "outside"),
        ("/etc/hostname", "outside"),
        ("pipe", "named pipe"),
        ("inner", "a folder"),
        ("", "outside|a folder|No such"),
        ("missing", "No such file"),
        ("inner/file/deeper", "Not a directory"),
        ("a\0b", "null character"),
    ],
)
def test_what_is_no_regular_file_inside_is_refused(folder: Path, name: str, reason: str) -> None:
    before = _open_files()
    with pytest.raises(UsageError, match=reason) as refusal:
        read_within(folder, name, 100, "thing")
    assert "\n" not in str(refusal.value)
    assert _open_files() == before


def _open_files() -> int:
    """Count the file descriptors of this process, where the system tells."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.is_dir() else 0


@pytest.mark.parametrize("name", ["inner", "pipe", "missing"])
def test_a_named_file_must_be_regular(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_bounded(folder / name, 100, "thing")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(device: str) -> None:
    assert stat.S_ISCHR(Path(device).stat().st_mode)
    with pytest.raises(OSError, match="device"):
        open_regular(Path(device))


def test_a_named_file_may_be_a_link(folder: Path) -> None:
    assert read_bounded(folder / "link", 6, "thing") == b"secret"


def test_what_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "sparse"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UsageError, match=r"is larger than 2 MiB: that is no thing"):
        read_bounded(file, 2 << 20, "thing")
