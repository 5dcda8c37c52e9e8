"""Files of pictures, made byte by byte where Pillow does not write what is tested."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Encode = Callable[..., bytes]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by PNG's colour type


@pytest.fixture(scope="session")
def encoded() -> Encode:
    """Encode a picture as Pillow does."""

    def encode(image: Image.Image, file_format: str, others: Sequence[Image.Image] = (), **options: Any) -> bytes:
        buffer = io.BytesIO()
        if others:
            options |= {"save_all": True, "append_images": list(others)}
        image.save(buffer, file_format, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def png() -> Encode:
    """Encode samples ``(height, width[, channels])`` as a PNG file of any depth and colour type."""

    def encode(samples: NDArray[Any], depth: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
        height, width = samples.shape[:2]
        rows = samples.reshape(height, width * CHANNELS[colour])
        if depth == 16:
            packed = rows.astype(">u2").view(np.uint8).reshape(height, -1)
        else:
            bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
            packed = np.packbits(bits.reshape(height, -1), axis=-1)
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
        pixels = zlib.compress(np.insert(packed, 0, 0, axis=1).tobytes())
        inner = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in inner)

    return encode


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
