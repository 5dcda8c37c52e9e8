"""Keep how every part ended, what it printed and what it cost; a part that was broken off counts as open."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from gpu_day.parts import Part

Status = Literal["begun", "passed", "failed", "unfinished"]
OPEN: tuple[Status, ...] = ("begun", "unfinished")


@dataclass(frozen=True)
class Result:
    """How a part ended.

    Attributes:
        status: ``begun`` while it runs, and for good where everything was killed; ``unfinished`` when it was stopped,
            and would go on.
        ended: the same in words.
        arguments: its command, without this Python, folder and limit as placeholders.
        seconds: that it took.
        started: date and time in UTC.
    """

    name: str
    status: Status
    ended: str
    arguments: tuple[str, ...]
    seconds: float
    started: str


class Ledger:
    """The files of a folder: ``parts/NAME.json``, ``.out`` and ``.err``, and ``work/NAME`` for what a part keeps.

    Args:
        costs: seconds by part, measured elsewhere; those of the folder go before them.
    """

    def __init__(self, folder: Path, costs: Mapping[str, float]) -> None:
        self.folder, self._costs = folder, costs

    def path(self, part: Part, suffix: str) -> Path:
        """A file of a part."""
        return self.folder / "parts" / f"{part.name}{suffix}"

    def work(self, part: Part) -> Path:
        """The folder of a part."""
        return self.folder / "work" / part.name

    def result(self, part: Part) -> Result | None:
        """How a part ended last; None where it was not begun, or was another command then."""
        try:
            told = json.loads(self.path(part, ".json").read_text("utf-8"))
            result = Result(**{**told, "arguments": tuple(told["arguments"])})
        except (OSError, ValueError, TypeError, KeyError):  # also what a kill left half-written
            return None
        return result if result.arguments == part.arguments else None

    def keep(self, part: Part, result: Result) -> None:
        """Write down how a part ended, whole or not at all."""
        write(self.path(part, ".json"), asdict(result))

    def is_open(self, part: Part, retry: bool) -> bool:
        """Whether a part is still to be run; with ``retry`` also one that failed."""
        result = self.result(part)
        return result is None or result.status in OPEN or (retry and result.status == "failed")

    def cost(self, part: Part) -> tuple[float, bool]:
        """Seconds that a part will take, and whether that was measured."""
        result = self.result(part)
        if result is not None and result.status == "passed":
            return result.seconds, True
        measured = self._costs.get(part.name)
        return (part.estimate_s, False) if measured is None else (measured, True)


def read_costs(path: Path) -> dict[str, float]:
    """Measured seconds by part, of ``gpu.json`` of an earlier run. ValueError when it is none."""
    try:
        parts = json.loads(path.read_text("utf-8"))["parts"]
        return {part["name"]: float(part["seconds"]) for part in parts if part["status"] == "passed"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no gpu.json of an earlier run: {type(error).__name__}") from error


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON in one step, so that a kill leaves the file as it was before or as it is to be."""
    beside = path.with_name(f".{path.name}")
    beside.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    os.replace(beside, path)
