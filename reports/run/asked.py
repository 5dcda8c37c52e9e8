"""What was asked where an answer differs from the reference's or is missing: kept in the run folder, for the report."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from reports.run.disk import writing_to
from workloads.errors import UsageError
from workloads.records import Conversation, Media, media_in

FILE = "asked.jsonl"
FOLDER = "media"
LARGEST_MEDIUM = 16 << 20
MOST_BYTES = 256 << 20
NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class AskedMedium:
    """One medium of a prompt.

    Attributes:
        kind: ``image`` or ``video``.
        name: what a person calls it.
        file: its name in the run's folder of media; None where it was not kept, on request or for its size.
    """

    kind: str
    name: str
    file: str | None


@dataclass(frozen=True)
class Asked:
    """One request: the last thing the user said, and the media of the whole prompt, in order."""

    workload: str
    request: str
    question: str
    media: tuple[AskedMedium, ...]


class AskedLog:
    """Keeps requests, each once, and their media.

    Args:
        path: the run folder.
        keep_media: whether the media's files are kept; at most ``LARGEST_MEDIUM`` bytes each, ``MOST_BYTES`` in all.
    """

    def __init__(self, path: Path, keep_media: bool) -> None:
        self._path, self._keep_media = path, keep_media
        _mend(path / FILE)
        self._kept = set(read_asked(path))
        self._bytes = sum(file.stat().st_size for file in (path / FOLDER).glob("*"))

    def keep(self, workload: str, conversation: Conversation, turn: int) -> None:
        """Write what turn number ``turn`` asks, unless that was done; UsageError when the disk refuses."""
        asked = conversation.turns[turn]
        if (workload, asked.id) in self._kept:
            return
        question = " ".join(part for part in asked.content if isinstance(part, str))
        with writing_to(self._path):
            media = tuple(self._medium(medium) for medium in media_in(conversation.prompt(turn)))
            line = json.dumps(asdict(Asked(workload, asked.id, question, media)), ensure_ascii=False)
            with (self._path / FILE).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        self._kept.add((workload, asked.id))

    def _medium(self, medium: Media) -> AskedMedium:
        name = blake3(medium.data).hexdigest(length=16)
        file = self._path / FOLDER / name
        if not self._keep_media:
            return AskedMedium(medium.kind, medium.name, None)
        if not file.exists():
            if len(medium.data) > LARGEST_MEDIUM or self._bytes + len(medium.data) > MOST_BYTES:
                return AskedMedium(medium.kind, medium.name, None)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(medium.data)
            self._bytes += len(medium.data)
        return AskedMedium(medium.kind, medium.name, name)


def read_asked(path: Path) -> dict[tuple[str, str], Asked]:
    """What a run folder tells of its requests, by workload and request; a torn last line is left out.

    Raises:
        UsageError: a line is corrupt.
    """
    try:
        lines = (path / FILE).read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path / FILE}: {error}") from error
    found: dict[tuple[str, str], Asked] = {}
    for number, line in enumerate(lines, start=1):
        try:
            asked = _parse(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{path / FILE}, line {number} is corrupt ({error}); remove that line") from error
        found[asked.workload, asked.request] = asked
    return found


def read_medium(path: Path, medium: AskedMedium) -> bytes | None:
    """The encoded file of a medium in a run folder; None where it was not kept or is not there any more."""
    if medium.file is None:
        return None
    file = path / FOLDER / medium.file
    if not file.is_file() or file.stat().st_size > LARGEST_MEDIUM:
        return None
    return file.read_bytes()


def _mend(file: Path) -> None:
    """Cut off a last line that a kill left torn."""
    if file.exists() and not (data := file.read_bytes()).endswith(b"\n"):
        with writing_to(file.parent):
            os.truncate(file, data.rfind(b"\n") + 1)


def _parse(data: Mapping[str, Any]) -> Asked:
    media = tuple(AskedMedium(**medium) for medium in data["media"])
    for medium in media:
        if medium.file is not None and not NAME.fullmatch(medium.file):
            raise ValueError(f"'{medium.file}' is no name of a kept medium")
    return Asked(data["workload"], data["request"], data["question"], media)
