"""Content keys: by them a store finds the encoder output of a medium again."""

from __future__ import annotations

from blake3 import blake3

from workloads.records import Media


def content_key(media: Media, processor_fingerprint: str) -> str:
    """The identity of a medium's encoder output: a BLAKE3 hash of kind, processor and encoded bytes."""
    hasher = blake3(f"{media.kind}\x00{processor_fingerprint}\x00".encode())
    hasher.update(media.data)
    return hasher.hexdigest()
