"""Videos are turned and mirrored as their display matrix says, and as FFmpeg shows them."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports.html.thumbnails import Album
from reports.run.changed_answers import KeptMedium, content_name
from runners.engine.media.clips import decode_clip
from workloads.records import Media

ONE = 1 << 16
T = Image.Transpose
# As libavfilter's transpose, hflip and vflip do for each matrix in FFmpeg's tools: a, b, c, d.
SHOWN: dict[tuple[int, int, int, int], T | None] = {
    (1, 0, 0, 1): None,
    (-1, 0, 0, 1): T.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): T.FLIP_TOP_BOTTOM,
    (-1, 0, 0, -1): T.ROTATE_180,
    (0, 1, -1, 0): T.ROTATE_270,  # clockwise by a quarter
    (0, -1, 1, 0): T.ROTATE_90,
    (0, 1, 1, 0): T.TRANSPOSE,
    (0, -1, -1, 0): T.TRANSVERSE,
}


def picture() -> Image.Image:
    """Four corners of different brightness."""
    corners = np.array([[40, 100], [160, 220]], np.uint8)
    return Image.fromarray(np.kron(corners, np.ones((24, 32), np.uint8)))


@pytest.fixture(scope="module")
def film() -> bytes:
    av = pytest.importorskip("av", reason="needs PyAV, which comes with the extra 'video'")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(2):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture().convert("RGB")), format="rgb24"))
            )
        container.mux(stream.encode())
    return file.getvalue()


def with_matrix(film: bytes, a: float, b: float, c: float, d: float) -> bytes:
    """The film with another matrix in the header of its track."""
    numbers = [int(a * ONE), int(b * ONE), 0, int(c * ONE), int(d * ONE), 0, 0, 0, 1 << 30]
    place = film.index(b"tkhd") + 4 + 40
    return film[:place] + struct.pack(">9i", *numbers) + film[place + 36 :]


@pytest.mark.parametrize("matrix", SHOWN)
def test_a_film_is_shown_as_its_matrix_says(film: bytes, matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    data, turn = with_matrix(film, *matrix), SHOWN[matrix]
    expected = np.asarray(picture() if turn is None else picture().transpose(turn)).astype(int)
    for frame in decode_clip(Media("video", data, "film")).frames:
        found = np.asarray(frame.convert("L")).astype(int)
        assert found.shape == expected.shape
        assert np.abs(found - expected).mean() < 4
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / content_name(data)).write_bytes(data)
    (thumbnail,) = Album(tmp_path, "x").of(KeptMedium("video", "film", content_name(data)), 1)
    assert thumbnail is not None
    assert (thumbnail.height, thumbnail.width) == expected.shape


@pytest.mark.parametrize("matrix", [(0, 0, 0, 0), (0.7, 0.7, -0.7, 0.7), (1, 0.001, -0.001, 1), (2, 0, 0, 2)])
def test_other_matrices_do_no_harm(film: bytes, matrix: tuple[float, float, float, float]) -> None:
    frame = decode_clip(Media("video", with_matrix(film, *matrix), "film")).frames[0]
    assert frame.size == (64, 48) if matrix[0] != 0.7 else frame.width > 64
