"""Random streams that cannot collide: training and benchmark draws differ by construction."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np

Split = Literal["train", "bench"]


def stream(split: Split, *labels: str | int) -> np.random.Generator:
    """A generator for one purpose, named by ``split`` and ``labels``.

    The seed material is the SHA-256 of the labels, the split among them, so no choice of seed makes
    a benchmark repeat a training draw.
    """
    name = "\x1f".join([split, *map(str, labels)])
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
