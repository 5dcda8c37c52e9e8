"""Recognise the container of a video file by its first bytes."""

from __future__ import annotations

CONTAINERS = ("MP4", "MOV", "WebM", "Matroska")
QUICKTIME_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
EBML = b"\x1aE\xdf\xa3"


def container_of(data: bytes) -> str | None:
    """FFmpeg's name of the container that a file begins like; None when it is none of those read here.

    A demuxer is always named, for some that FFmpeg would find by itself open other files and addresses.
    """
    if data[4:8] in QUICKTIME_ATOMS:
        return "mov"
    return "matroska" if data.startswith(EBML) else None
