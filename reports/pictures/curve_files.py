"""Write the pictures of sweeps over rates and over working sets as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reports.pictures import load_curve, working_set
from reports.pictures.files import file_names, write_pictures
from reports.run.descriptions import AtRate
from reports.summary.row import Row
from reports.sweep.load_knee import Knee


def draw_load(
    rows: Sequence[Row], rates: Mapping[str, AtRate], found: Mapping[str, Sequence[Knee]], folder: Path
) -> list[Path]:
    """Write one picture for each workload into ``folder``; returns the files. UsageError as of ``write_pictures``.

    Args:
        found: the knees of each workload.
    """
    names = file_names("load", dict.fromkeys(row.workload for row in rows))
    of = {name: [row for row in rows if row.workload == workload] for workload, name in names.items()}
    return write_pictures(
        {name: load_curve.picture(mine, rates, found[mine[0].workload]) for name, mine in of.items()}, folder
    )


def draw_working_sets(sets: Mapping[str, Mapping[int, Sequence[Row]]], folder: Path) -> list[Path]:
    """Write one picture for each workload into ``folder``, of its rows by number of distinct media; as above."""
    names = file_names("working-set", sets)
    return write_pictures({names[workload]: working_set.picture(rows) for workload, rows in sets.items()}, folder)
