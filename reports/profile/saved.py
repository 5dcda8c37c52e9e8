"""A saved profile, for the report: what it tells of a model, and where it may lie."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pandas.api.types import is_complex_dtype, is_numeric_dtype
from pyarrow import ArrowException
from pyarrow.parquet import FileMetaData, ParquetFile

from reports.profile import error_map
from reports.profile.folder import ProfileFolder
from reports.profile.sensitivity import LayerCost, layer_costs
from workloads.errors import UsageError
from workloads.reading import in_one_line
from workloads.reading.regular import open_within

MOST_BYTES = 256 << 20
MOST_ROWS = 10_000_000
MOST_UNPACKED = 512 << 20
MOST_WORKLOADS = 64
LARGEST = 1e30
PLACES: dict[str, float] = {"layer": 1 << 10, "medium": 1 << 15, "token": 1 << 22}
LONGEST_REASON = 200


@dataclass(frozen=True)
class Profile:
    """What a profile folder tells of a model.

    Attributes:
        errors: see ``error_map.COLUMNS``.
        costs: what staleness in each layer costs; empty where that was not measured.
    """

    path: Path
    errors: pd.DataFrame
    costs: list[LayerCost]


def read_profile(path: Path) -> Profile:
    """Read a profile folder.

    Raises:
        UsageError: it holds no error map, or one that cannot be used.
    """
    folder = ProfileFolder(path)
    if not os.path.lexists(folder.errors):
        raise UsageError(f"{path} holds no profile: there is no {folder.errors.name} in it; vlcache profile makes one")
    measures = dict.fromkeys(("kl", "computed", *error_map.ERRORS), LARGEST)
    errors = _read(path, folder.errors.name, {**PLACES, **measures}, ["workload", "request"])
    if errors.empty:
        raise UsageError(f"{folder.errors} holds no errors: measure more samples")
    costs: list[LayerCost] = []
    if os.path.lexists(folder.sensitivity):
        about = {"layer": PLACES["layer"], "kl": LARGEST}
        costs = layer_costs(_read(path, folder.sensitivity.name, about, ["cluster_id"]))
    return Profile(path, errors, costs)


def find_profile(run: Path) -> Path | None:
    """The folder with an error map that lies in a run's folder, or beside it under the name ``profile``.

    A link in a run's folder is no part of it.
    """
    inside = [] if (run / "profile").is_symlink() else [run / "profile"]
    places = (run, *inside, run.resolve().parent / "profile")
    return next((path for path in places if ProfileFolder(path).errors.is_file()), None)


def _read(folder: Path, name: str, numbers: Mapping[str, float], texts: Sequence[str]) -> pd.DataFrame:
    """Read columns of a table: ``numbers`` with the largest value that each may have, and ``texts``."""
    file = folder / name
    try:
        with open_within(folder, name) as stream:
            if os.fstat(stream.fileno()).st_size > MOST_BYTES:
                raise UsageError(f"{file} is larger than {MOST_BYTES >> 20} MiB; measure fewer samples for a report")
            table = ParquetFile(stream, read_dictionary=list(texts))
            _require_bounded(file, table.metadata)
            if missing := [column for column in (*texts, *numbers) if column not in table.schema_arrow.names]:
                raise ValueError(f"it has no column {missing[0]}")
            frame: pd.DataFrame = table.read(columns=[*texts, *numbers]).to_pandas(ignore_metadata=True)
        _require_plain(frame, numbers, texts)
    except UsageError:
        raise
    except (ArrowException, ValueError, KeyError, OSError, TypeError, OverflowError, MemoryError) as error:
        reason = in_one_line(str(error))[:LONGEST_REASON]
        raise UsageError(f"{file} is no table that vlcache profile wrote ({reason})") from error
    return frame


def _require_bounded(file: Path, about: FileMetaData) -> None:
    """Refuse what would take much memory or time to read, by what a file says of itself."""
    rows, groups = about.num_rows, range(about.num_row_groups)
    if rows > MOST_ROWS or sum(about.row_group(group).total_byte_size for group in groups) > MOST_UNPACKED:
        raise UsageError(
            f"{file} has more than {MOST_ROWS} rows, or unpacks to more than {MOST_UNPACKED >> 20} MiB; measure fewer "
            "samples for a report"
        )


def _require_plain(frame: pd.DataFrame, numbers: Mapping[str, float], texts: Sequence[str]) -> None:
    """Check the types and ranges of columns; ValueError when they are others."""
    for name, most in numbers.items():
        if not is_numeric_dtype(frame[name]) or is_complex_dtype(frame[name]):
            raise ValueError(f"{name} holds no numbers")
        column = frame[name].astype("float64")
        if (column.abs() > most).any() or (name in PLACES and not column.between(0, most).all()):
            raise ValueError(f"{name} must lie from 0 to {most:g}" if name in PLACES else f"{name} is too large")
    for name in texts:
        distinct = frame[name].unique()
        if not all(isinstance(text, str) for text in distinct):
            raise ValueError(f"{name} holds no texts")
        if name == "workload" and len(distinct) > MOST_WORKLOADS:
            raise ValueError(f"more than {MOST_WORKLOADS} workloads")
