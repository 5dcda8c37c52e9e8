"""A saved profile, for the report: what it tells of a model, and where it may lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from reports.profile import error_map
from reports.profile.folder import ProfileFolder
from reports.profile.sensitivity import LayerCost, layer_costs
from workloads.errors import UsageError

MOST_BYTES = 1 << 30


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
    if not folder.errors.is_file():
        raise UsageError(f"{path} holds no profile: there is no {folder.errors.name} in it; vlcache profile makes one")
    errors = _read(folder.errors, [*error_map.COLUMNS])
    costs = (
        layer_costs(_read(folder.sensitivity, ["cluster_id", "layer", "kl"])) if folder.sensitivity.is_file() else []
    )
    return Profile(path, errors, costs)


def find_profile(run: Path) -> Path | None:
    """The folder with an error map that lies in a run's folder, or beside it under the name ``profile``."""
    beside = (run, run / "profile", run.resolve().parent / "profile")
    return next((path for path in beside if ProfileFolder(path).errors.is_file()), None)


def _read(file: Path, columns: list[str]) -> pd.DataFrame:
    if file.stat().st_size > MOST_BYTES:
        raise UsageError(f"{file} is larger than {MOST_BYTES >> 30} GiB; measure fewer samples for a report")
    try:
        return pd.read_parquet(file, engine="pyarrow", columns=columns)
    except (ArrowException, ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{file} is no table that vlcache profile wrote ({reason})") from error
