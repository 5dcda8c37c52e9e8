"""The manifest of a run while it goes on: what is found meanwhile is added to it, and written at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.run.manifest import Manifest
    from reports.run.store import RunFolder


@dataclass
class LiveManifest:
    """The manifest as it is now.

    Attributes:
        folder: where it is written.
    """

    now: Manifest
    folder: RunFolder

    def put(self, part: str, value: Any) -> None:
        """Add a part of the document, or put another in its place."""
        from reports.run.manifest import Manifest
        from reports.run.new_manifest import plain

        self.now = Manifest.check(plain(self.now.document | {part: value}), self.folder.path)
        self.folder.start(self.now)
