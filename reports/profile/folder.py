"""Where ``vlcache profile`` keeps what it measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from reports.run.claim import claim, require_free
from reports.run.disk import writing_to
from reports.run.lock import WriterLock
from workloads.errors import UsageError
from workloads.private_files import write_whole

if TYPE_CHECKING:
    import pandas as pd

    from reports.profile.sensitivity import LayerCost


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

    def require_free(self) -> None:
        """Check that a new profile can be kept here, and change nothing; UsageError when anything is in the folder."""
        require_free(self.path, self._require_new)

    def claim(self) -> WriterLock:
        """Make the folder, prove that it can be written to, and lock it.

        Raises:
            UsageError: it already holds a profile or anything else, another process writes to it, or the disk refuses.
        """
        return claim(self.path, self._require_new)

    def keep(self, errors: pd.DataFrame, sensitivity: pd.DataFrame, costs: Sequence[LayerCost]) -> None:
        """Write both tables and the picture."""
        from reports.profile import error_map, heat_map

        with writing_to(self.path):
            self._write(self.errors, lambda stream: error_map.write(errors, stream))
            self._write(self.sensitivity, lambda stream: error_map.write(sensitivity, stream))
            self._write(self.picture, lambda stream: heat_map.draw(errors, costs, stream))

    def _write(self, file: Path, write: Callable[[BytesIO], None]) -> None:
        """Keep what a function writes into a stream, for the owner of the folder alone."""
        stream = BytesIO()
        write(stream)
        write_whole(self.path, file.name, stream.getvalue())

    def _require_new(self, names: list[str]) -> None:
        """Refuse the folder of a profile, given what is in it."""
        for file in (self.profile, self.errors, self.sensitivity, self.picture):
            if file.name in names:
                raise UsageError(f"{self.path} already holds {file.name}: choose another --output")
