"""Note the commit of the source in wheels and source archives, for ``reports.run.source_commit``."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NoteCommit(BuildHookInterface):
    """Adds a file with the commit, where the source is a checkout of git; an archive of it carries the file already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before files are collected."""
        sys.path.insert(0, self.root)  # a build runs apart from the packages
        from reports.run.source_commit import NOTE, checked_out

        commit = checked_out(Path(self.root))
        if commit is None or version == "editable":
            return
        with NamedTemporaryFile("w", delete=False, encoding="utf-8") as file:
            file.write(f"{commit}\n")
        self.note = file.name
        build_data["force_include"][self.note] = f"reports/run/{NOTE}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling at the end."""
        if note := getattr(self, "note", None):
            Path(note).unlink()
