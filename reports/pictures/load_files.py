"""Write the pictures of a sweep over rates as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reports.pictures.files import file_names, write_pictures
from reports.pictures.load_curve import picture
from reports.run.manifest import AtRate
from reports.summary.row import Row


def draw(rows: Sequence[Row], rates: Mapping[str, AtRate], folder: Path) -> list[Path]:
    """Write one picture for each workload into ``folder``; returns the files. UsageError as of ``write_pictures``."""
    names = file_names("load", dict.fromkeys(row.workload for row in rows))
    of = {name: [row for row in rows if row.workload == workload] for workload, name in names.items()}
    return write_pictures({name: picture(mine, rates) for name, mine in of.items()}, folder)
