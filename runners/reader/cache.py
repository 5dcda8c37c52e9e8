"""Keep the reader in the user's cache folder: built once, checked whenever it is used, built again when damaged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from blake3 import blake3

from runners.engine.errors import first_line
from runners.reader.printed import Printed
from runners.reader.weights import SHA256, find_weights
from workloads.errors import UsageError

PROFILE_FOLDER = Path(__file__).parent  # the reader's profile comes with vlcache: nothing of it is built
BUILDER = 1  # another one where the same weights and pages give another model
CHECKSUMS = "checksums.txt"  # BLAKE3 of every file, as b3sum writes them
NEEDED = {"config.json", "model.safetensors"}  # a list of checksums without them is cut short
ATTEMPTS = 3  # to give a folder its name while other processes do the same


def cache_root() -> Path:
    """Return the folder where vlcache keeps what it can make again: in ``XDG_CACHE_HOME``, or ``~/.cache``."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "vlcache"


def reader_folder() -> Path:
    """Return the folder of the reader that this version builds; its name follows from all that goes into the model."""
    parts = f"{BUILDER} {SHA256} {Printed().hash()}"
    return cache_root() / f"reader-{sha256(parts.encode()).hexdigest()[:16]}"


def find_or_build(tell: Callable[[str], None]) -> Path:
    """Find the reader, or build it; any number of processes may do so at once.

    Args:
        tell: is told in a few words what is being done, and why, when something has to be built.

    Raises:
        UsageError: it is not built, and a package is missing or the disk refuses.
    """
    folder = reader_folder()
    if is_intact(folder):
        return folder
    from safetensors import SafetensorError

    from runners.reader.build import BuildError

    weights = find_weights()
    why = "is damaged and built again" if folder.exists() else "is built once, in less than a minute"
    tell(f"the reader {why}: {folder}")
    try:
        _build(folder, weights, lambda step: tell(f"the reader: {step}"))
    except (BuildError, ValueError) as error:
        raise UsageError(f"the reader cannot be built here: {first_line(error)}; please report it") from error
    except (OSError, SafetensorError) as error:
        raise UsageError(
            f"the reader cannot be kept in {folder.parent}: {first_line(error)}; make room there (600 MB), "
            "or set XDG_CACHE_HOME to another folder"
        ) from error
    return folder


def is_intact(folder: Path) -> bool:
    """Check that a folder holds every file that was written into it, each with the hash that it had."""
    try:
        lines = (folder / CHECKSUMS).read_text("utf-8").splitlines()
        named = {line.partition("  ")[2] for line in lines}
        return named >= NEEDED and all(_checksum(folder / line.partition("  ")[2]) == line for line in lines)
    except (OSError, ValueError):
        return False


def _build(folder: Path, weights: Path, tell: Callable[[str], None]) -> None:
    """Build the reader beside its folder, and rename it when it is whole."""
    from runners.reader.build import build

    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = Path(mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))  # its owner alone may enter
    try:
        made = beside / "new"
        made.mkdir(mode=0o700)
        build(made, weights, Printed(), tell)
        checksums = [_checksum(file) for file in sorted(made.iterdir())]
        (made / CHECKSUMS).write_text("".join(f"{line}\n" for line in checksums), encoding="utf-8")
        _rename(made, folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _rename(made: Path, folder: Path, beside: Path) -> None:
    """Give a built folder its name; where another process was first, what that one built stays."""
    for attempt in range(ATTEMPTS):
        with suppress(OSError):
            os.replace(made, folder)
            return
        if is_intact(folder):
            return
        with suppress(FileNotFoundError):
            os.replace(folder, beside / f"damaged-{attempt}")
    os.replace(made, folder)


def _checksum(file: Path) -> str:
    """Hash a file, as a line of ``b3sum``."""
    hasher = blake3()
    hasher.update_mmap(file)
    return f"{hasher.hexdigest()}  {file.name}"
