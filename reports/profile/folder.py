"""Where ``vlcache profile`` keeps what it measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from reports.profile import error_map, heat_map
from reports.profile.sensitivity import LayerCost
from reports.run.disk import writing_to
from workloads.errors import UsageError


@dataclass(frozen=True)
class ProfileFolder:
    """The folder of one profile. Every method raises UsageError when the disk refuses."""

    path: Path

    @property
    def profile(self) -> Path:
        """The model's profile, as it is put beside its weights."""
        return self.path / "vlcache.yaml"

    @property
    def errors(self) -> Path:
        """The error map, see ``error_map.COLUMNS``."""
        return self.path / "error_map.parquet"

    @property
    def sensitivity(self) -> Path:
        """What staleness in each layer cost each request, see ``sensitivity.COLUMNS``."""
        return self.path / "sensitivity.parquet"

    @property
    def picture(self) -> Path:
        """Both as a picture."""
        return self.path / "error_map.png"

    def claim(self) -> None:
        """Make the folder and prove that it can be written to; UsageError when it holds a profile already."""
        with writing_to(self.path):
            for file in (self.profile, self.errors, self.sensitivity, self.picture):
                if file.exists():
                    raise UsageError(f"{self.path} already holds {file.name}: choose another --output")
            self.path.mkdir(parents=True, exist_ok=True)
            self.errors.write_bytes(b"")
            self.errors.unlink()

    def keep(self, errors: pd.DataFrame, sensitivity: pd.DataFrame, costs: Sequence[LayerCost]) -> None:
        """Write both tables and the picture."""
        with writing_to(self.path):
            error_map.write(errors, self.errors)
            error_map.write(sensitivity, self.sensitivity)
            heat_map.draw(errors, costs, self.picture)
