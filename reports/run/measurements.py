"""What a run measured: its manifest, its records, and the records as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from reports.run.manifest import Manifest
from runners.records import Record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Measurements:
    """The manifest and the records of a run, in the order written."""

    manifest: Manifest
    records: Sequence[Record]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The records as ``frame.FRAME_COLUMNS``, built once. It is shared: change a copy."""
        from reports.run.frame import to_frame

        return to_frame(self.records)
