"""Small files that would take decoders minutes or gigabytes are refused at once, in one line."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFile

from runners.engine.errors import MediaError
from runners.engine.media.clips import decode_clip
from runners.engine.media.pictures import decode_image
from workloads.files.attachments import _require_playable
from workloads.media import videos
from workloads.media.pictures import decode
from workloads.records import Media

Encode = Callable[..., bytes]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_SECONDS = 2.0
GIF_FRAME = b"\x21\xf9\4\0\0\0\0\0\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: tuple[bytes, bytes], pixels: bytes | None = None) -> bytes:
    """A grey PNG file with chunks before its pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = pixels if pixels is not None else bytes((width + 1) * height)
    inner = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(*item) for item in inner)


def gif(width: int, height: int, body: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + body + b";"


def apng(width: int, height: int, frames: int) -> bytes:
    """Its first frame has one pixel too few lines, as it must not be decoded."""
    control = struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 10, 0, 0)
    small = struct.pack(">IIIIIHHBB", 1, 1, 1, 0, 0, 1, 10, 0, 0)
    more = b"".join(
        chunk(b"fcTL", small) + chunk(b"fdAT", bytes(4) + zlib.compress(b"\0\0")) for _ in range(frames - 1)
    )
    whole = png(width, height, (b"acTL", struct.pack(">II", frames, 0)), (b"fcTL", control), pixels=b"\0")
    end = chunk(b"IEND", b"")
    return whole.removesuffix(end) + more + end


def webp(width: int, height: int, frames: int) -> bytes:
    """Frames without contents: only what the file says of them is read."""

    def part(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data

    canvas = b"\2\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + part(b"VP8X", canvas) + part(b"ANMF", bytes(16)) * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def directory(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + packed + struct.pack("<I", following)


def overlapping(entries: int, payload: int) -> bytes:
    """A TIFF structure whose entries all point at the same bytes."""
    start = 8 + 2 + 12 * entries + 4
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + directory([(tag + 1, 7, payload, start) for tag in range(entries)])
        + bytes(payload)
    )


def tiff(pages: int, *entries: tuple[int, int]) -> bytes:
    data = b"II*\0" + struct.pack("<I", 8)
    for page in range(pages):
        fixed = [(258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
        own = sorted([*fixed, *((tag, 4, 1, value) for tag, value in entries)])
        data += directory(own, len(data) + 6 + 12 * len(own) if page < pages - 1 else 0)
    return data


def jpeg(segments: bytes = b"", size: int = 8, repeat_scans: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (size, size)).save(buffer, "JPEG", progressive=repeat_scans > 0)
    data = buffer.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:2] + segments + data[2:-2] + last * repeat_scans + data[-2:]


def exif_segments() -> bytes:
    note = overlapping(20_000, 400_000)
    parts = [note[place : place + 65_000] for place in range(0, len(note), 65_000)]
    return b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)


ZEROS = zlib.compress(bytes(50_000_000))
RUNS = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 62, 40, 9000, 9000, 1, 8, 1, 0, 0, 0, 2, 0) + bytes(8)
PICTURES = {
    "a strip one pixel wide": lambda: png(1, 100_000_000, pixels=b"\0"),
    "a strip one pixel high": lambda: png(100_000_000, 1, pixels=b"\0"),
    "a zTXt chunk": lambda: png(8, 8, (b"zTXt", b"k\0\0" + ZEROS)),
    "an iCCP chunk": lambda: png(8, 8, (b"iCCP", b"k\0\0" + ZEROS)),
    "an iTXt chunk": lambda: png(8, 8, (b"iTXt", b"k\0\1\0\0\0" + ZEROS)),
    "chunks": lambda: png(8, 8, *[(b"abCD", b"")] * 30_000),
    "segments": lambda: jpeg(b"\xff\xe5\0\2" * 30_000),
    "bytes between segments": lambda: jpeg(b"\xff" * 200_000),
    "scans": lambda: jpeg(size=4000, repeat_scans=130),
    "pieces of EXIF": lambda: jpeg(exif_segments()),
    "overlapping entries": lambda: overlapping(60_000, 900_000),
    "pages": lambda: tiff(10_500, (256, 8), (257, 8), (273, 8), (278, 8), (279, 8)),
    "a tile": lambda: tiff(1, (256, 8), (257, 8), (322, 32768), (323, 32768), (324, 8), (325, 8)),
    "comments": lambda: gif(8, 8, b"\x21\xfe" + (b"\xff" + bytes(255)) * 5000 + b"\0" + GIF_FRAME),
    "runs": lambda: RUNS + b"\1\1" * 400_000,
}
CLIPS = {
    "GIF": lambda: gif(9999, 9999, GIF_FRAME * 500),
    "GIF that grows": lambda: gif(
        1, 1, GIF_FRAME + b"\x2c" + struct.pack("<HHHHB", 0, 0, 60000, 60000, 0) + b"\2\2\x44\1\0"
    ),
    "GIF of many frames": lambda: gif(1, 1, GIF_FRAME * 60_000),
    "GIF of many blocks": lambda: gif(1, 1, GIF_FRAME + b"\x2c" + bytes(9) + b"\2" + b"\1a" * 1_200_000),
    "APNG": lambda: apng(9000, 9000, 500),
    "APNG of many frames": lambda: apng(8, 8, 60_000),
    "WebP": lambda: webp(9999, 9999, 500),
    "TIFF": lambda: tiff(500, (256, 9999), (257, 9999), (273, 8), (278, 9999), (279, 8)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_would_flood_a_decoder_is_refused_at_once(name: str) -> None:
    data = PICTURES[name]()
    started = time.process_time()
    with pytest.raises(MediaError, match=r"^bomb: ") as caught:
        decode_image(Media("image", data, "bomb"))
    with pytest.raises(ValueError, match=r"^(is not a readable picture \(|has )"):
        decode(data)
    assert time.process_time() - started < 2 * MOST_SECONDS
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", CLIPS)
def test_an_animation_that_would_flood_a_decoder_is_refused_before_any_frame_is_decoded(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = CLIPS[name]()
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("pixels were allocated"))
    started = time.process_time()
    with pytest.raises(MediaError, match=r"^bomb(:| has) ") as caught:
        decode_clip(Media("video", data, "bomb"))
    with pytest.raises(ValueError, match=r"^has "):
        _require_playable(data)
    assert time.process_time() - started < 2 * MOST_SECONDS
    assert str(caught.value).isprintable()


def test_overlapping_entries_of_a_note_are_not_read() -> None:
    data = png(8, 8, (b"eXIf", overlapping(60_000, 900_000)))
    started = time.process_time()
    assert decode_image(Media("image", data, "noted")).size == (8, 8)
    assert time.process_time() - started < MOST_SECONDS


def test_an_animation_at_the_bound_is_decoded(encoded: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = [Image.new("L", (10, 10), 60 * shade) for shade in range(4)]
    for form in ("GIF", "PNG", "WEBP", "TIFF"):
        data = encoded(first, form, others)
        monkeypatch.setattr("workloads.media.limits.MOST_CLIP_PIXELS", 400)
        assert len(decode_clip(Media("video", data, "clip")).frames) == 4
        monkeypatch.setattr("workloads.media.limits.MOST_CLIP_PIXELS", 399)
        with pytest.raises(MediaError, match=r"^clip has 4 frames of 10x10 pixels; no more than "):
            decode_clip(Media("video", data, "clip"))


Forge = Callable[[bytes], bytes]


def table(kind: bytes, values: bytes) -> Forge:
    """Overwrite the beginning of a table of an MP4 file, after its version and flags."""

    def forge(film: bytes) -> bytes:
        place = film.index(kind) + 8
        return film[:place] + values + film[place + len(values) :]

    return forge


@pytest.mark.parametrize(
    "forge",
    [
        table(b"stsz", struct.pack(">II", 5, 2**31 - 1)),
        table(b"stsz", struct.pack(">II", 0, 2**31 - 1)),
        table(b"stts", struct.pack(">III", 1, 2**31 - 1, 1)),
        table(b"stco", struct.pack(">II", 1, 2**31)),
        table(b"stsc", struct.pack(">IIII", 1, 1, 2**31 - 1, 1)),
        table(b"stss", struct.pack(">II", 1, 2**31)),
        lambda film: film.replace(struct.pack(">HH", 64, 48), struct.pack(">HH", 16_384, 16_384)),
        lambda film: film[: len(film) // 2],
    ],
)
def test_a_film_whose_tables_lie_is_decoded_or_refused_at_once(make_film: Callable[..., bytes], forge: Forge) -> None:
    data = forge(make_film(8))
    started = time.process_time()
    refused = ""
    try:
        frames = len(decode_clip(Media("video", data, "film")).frames)
    except MediaError as error:
        frames, refused = 1, str(error)
    assert 1 <= frames <= 8
    assert refused.isprintable()
    assert refused == "" or refused.startswith("film ")
    assert time.process_time() - started < MOST_SECONDS


def test_sound_alone_is_no_video() -> None:
    av = pytest.importorskip("av", reason="needs PyAV, which comes with the extra 'video'")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(MediaError, match=r"^sound is not a readable video \(it has no pictures\)$"):
        decode_clip(Media("video", file.getvalue(), "sound"))


def test_the_pixels_on_the_way_to_wanted_frames_are_bounded_before_decoding(
    make_film: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_film(20, key_every=5)  # 0, 5, 10 and 15 are key frames, and wanted
    monkeypatch.setattr(videos, "MOST_DECODED_PIXELS", 4 * 64 * 48)
    assert len(decode_clip(Media("video", film, "film")).frames) == 4
    monkeypatch.setattr(videos.Film, "_decode", lambda *_: pytest.fail("frames were decoded"))
    monkeypatch.setattr(videos, "MOST_DECODED_PIXELS", 4 * 64 * 48 - 1)
    with pytest.raises(MediaError, match=r"^film takes decoding 4 frames of 64x48 pixels to see 4 of them, "):
        decode_clip(Media("video", film, "film"))
