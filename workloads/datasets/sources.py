"""Options of data sets: a local copy, some of their parts, and how their media recur."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from workloads.errors import unknown_name
from workloads.records import Recur

T = TypeVar("T")


@dataclass(frozen=True)
class Sources:
    """What a user may say about data sets.

    Attributes:
        dataset_path: a local copy in the hub's layout; None to read from the hub.
        subjects: the parts of the data set to take; empty for all.
        recur: how media come back; None for what the data set says.
        pixels_per_token: side of the square that the model makes one token of, for traces; None where it is not known.
    """

    dataset_path: Path | None = None
    subjects: tuple[str, ...] = ()
    recur: Recur | None = None
    pixels_per_token: int | None = None


ANYWHERE = Sources()


def chosen(parts: Mapping[str, T], subjects: Sequence[str], workload: str) -> Mapping[str, T]:
    """The parts of a workload that ``subjects`` names, all of them if it names none."""
    for subject in subjects:
        if subject not in parts:
            raise unknown_name(f"subject of {workload}", subject, parts)
    return {name: parts[name] for name in subjects or parts}
