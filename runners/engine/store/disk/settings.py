"""Settings of the disk tier, and what its entries are valid for. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from runners.engine.store.disk.file import FORMAT

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class DiskSettings:
    """Where entries are kept, and how many.

    Attributes:
        path: the directory.
        budget: bytes that all entries in it may take, whoever wrote them.
        namespace: entries of other namespaces are not seen.
    """

    path: Path
    budget: int
    namespace: str = DEFAULT_NAMESPACE


def scope_of(identity: Mapping[str, Any]) -> str:
    """Hash all that entries are valid for, besides the content of media and prompts, to 128 bits, as 32 digits."""
    text = json.dumps({"format": FORMAT, **identity}, sort_keys=True, default=str)
    return str(blake3(text.encode()).hexdigest(length=16))
