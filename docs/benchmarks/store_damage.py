"""Ways to damage a stored file, for ``store_chaos.py`` and the tests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from runners.engine.store.disk.file import MOST_HEADER, digest_of

Damage = Callable[[Path, np.random.Generator], None]


def flip_a_bit(file: Path, rng: np.random.Generator) -> None:
    """Flip one bit anywhere."""
    data = bytearray(file.read_bytes())
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    file.write_bytes(data)


def flip_a_bit_of_the_header(file: Path, rng: np.random.Generator) -> None:
    """Flip one bit of the length or the header."""
    data = bytearray(file.read_bytes())
    data[int(rng.integers(8 + int.from_bytes(data[:8], "little")))] ^= 1 << int(rng.integers(8))
    file.write_bytes(data)


def truncate(file: Path, rng: np.random.Generator) -> None:
    """Cut off the end."""
    data = file.read_bytes()
    file.write_bytes(data[: int(rng.integers(len(data)))])


def lengthen(file: Path, rng: np.random.Generator) -> None:
    """Put bytes behind the end."""
    file.write_bytes(file.read_bytes() + rng.bytes(int(rng.integers(1, 5000))))


def blank(file: Path, rng: np.random.Generator) -> None:
    """Overwrite a block with what was not in it."""
    data = bytearray(file.read_bytes())
    start = int(rng.integers(len(data)))
    block = data[start : start + 4096]
    data[start : start + 4096] = bytes(byte ^ 0xFF for byte in block)
    file.write_bytes(data)


def replace_by_noise(file: Path, rng: np.random.Generator) -> None:
    """Replace the whole file."""
    file.write_bytes(rng.bytes(int(rng.integers(1, 10_000))))


def promise_too_much(file: Path, rng: np.random.Generator) -> None:
    """Announce a header that is larger than any may be, or than the file is."""
    data = bytearray(file.read_bytes())
    data[:8] = int(rng.integers(len(data), MOST_HEADER << 20)).to_bytes(8, "little")
    file.write_bytes(data)


def swap(file: Path, rng: np.random.Generator) -> None:
    """Put another entry of whatever runner, whole and undamaged, in its place."""
    others = sorted(other for other in file.parent.parent.glob("*/*.safetensors") if other != file)
    shutil.copyfile(others[int(rng.integers(len(others)))], file)


def reshape(file: Path, rng: np.random.Generator) -> None:
    """Describe the numbers as those of another shape or size, every checksum right."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    entry = json.loads(header["__metadata__"]["entry"])
    tensor = entry["tensors"][int(rng.integers(len(entry["tensors"])))]
    shape = tensor["shape"]
    hostile = [[*reversed(shape)], [1, *shape], [1 << 20, 1 << 20], [1 << 32] * len(shape), [0, *shape[1:]]]
    shape = hostile[int(rng.integers(len(hostile)))]
    tensor["shape"] = shape if shape != tensor["shape"] else [*shape, 1]
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
    header["__metadata__"] = {"entry": text, "xxh3": digest_of(text.encode())}
    header[tensor["name"]]["shape"] = tensor["shape"]
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data[8 + length :])


def link(file: Path, rng: np.random.Generator) -> None:
    """Put a symbolic link to the same bytes elsewhere in its place, or to nowhere."""
    elsewhere = file.parent.parent / "elsewhere"
    shutil.copyfile(file, elsewhere)
    file.unlink()
    file.symlink_to(elsewhere if rng.integers(2) else "nowhere")


def second_name(file: Path, rng: np.random.Generator) -> None:
    """Give the same file another name, by which it may be written to."""
    os.link(file, file.parent.parent / f"again-{rng.integers(1 << 32)}")


def no_file(file: Path, rng: np.random.Generator) -> None:
    """Put a folder or a named pipe in its place."""
    file.unlink()
    if rng.integers(2):
        file.mkdir()
    else:
        os.mkfifo(file)


def open_to_all(file: Path, rng: np.random.Generator) -> None:
    """Let everybody write to it."""
    file.chmod(0o666)


WAYS: tuple[Damage, ...] = (
    flip_a_bit,
    flip_a_bit_of_the_header,
    truncate,
    lengthen,
    blank,
    replace_by_noise,
    promise_too_much,
    swap,
    reshape,
    link,
    second_name,
    no_file,
    open_to_all,
)
