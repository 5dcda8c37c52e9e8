"""Write pictures into a run's folder, one file for each workload."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from reports.pictures import png
from workloads.errors import UsageError
from workloads.private_files import make_folder, write_whole

LONGEST_NAME = 80


def write_pictures(pictures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write pictures by their names into ``folder``, which is made and may be no link; returns the files.

    Raises:
        UsageError: the disk refuses.
    """
    files = []
    for name, figure in pictures.items():
        file = folder / name
        stream = BytesIO()
        png.write(figure, stream)
        try:
            make_folder(folder.parent)
            write_whole(folder.parent, f"{folder.name}/{name}", stream.getvalue())
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror}; make room and draw it with --resume") from error
        files.append(file)
    return files


def file_names(what: str, workloads: Iterable[str]) -> dict[str, str]:
    """A file name for each workload: letters, digits, dots, dashes and underscores, no two alike in any file system."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for workload in workloads:
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", workload)[:LONGEST_NAME]
        name, number = f"{what}-{plain}.png", 2
        while name.lower() in taken:
            name, number = f"{what}-{plain}-{number}.png", number + 1
        taken.add(name.lower())
        names[workload] = name
    return names
