"""The log of changed answers: requests whose answer differs from the reference's or is missing, with their media."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from blake3 import blake3

from reports.run.disk import writing_to
from reports.run.lines import read_lines
from workloads.errors import UsageError
from workloads.private_files import cut, open_to_append, write_whole
from workloads.reading import brief, keys, read_json
from workloads.reading.regular import open_folder, read_within
from workloads.records import Conversation, Media, media_in

FILE = "asked.jsonl"
FOLDER = "media"
LARGEST_MEDIUM = 16 << 20
MOST_BYTES = 256 << 20
LARGEST_LOG = 256 << 20
MOST_ANSWERS = 1_000_000
NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class KeptMedium:
    """One medium of a prompt.

    Attributes:
        kind: ``image`` or ``video``.
        name: what a person calls it.
        file: its name in the run's folder of media; None where it was not kept, on request or for its size.
    """

    kind: str
    name: str
    file: str | None

    def __post_init__(self) -> None:
        """Let no name lead out of the folder of media."""
        if self.file is not None and not NAME.fullmatch(self.file):
            raise UsageError(f"{brief(self.file)} is no name of a kept medium")


@keys("ignore")
@dataclass(frozen=True)
class ChangedAnswer:
    """A request some answer to which differs.

    Attributes:
        question: the text of the last message of the user.
        media: those of the prompt, in order.
        answer_begins: the beginning of the answer that the request gave; runners add to it.
    """

    workload: str
    request: str
    question: str
    media: tuple[KeptMedium, ...]
    answer_begins: str = ""


class ChangedAnswersLog:
    """Keeps requests, each once, and their media.

    Args:
        path: the run folder.
        keep_media: whether the media's files are kept; at most ``LARGEST_MEDIUM`` bytes each, ``MOST_BYTES`` in all.
    """

    def __init__(self, path: Path, keep_media: bool) -> None:
        self._path, self._keep_media = path, keep_media
        answers, torn_at = _read(path)
        with writing_to(path / FILE):
            if torn_at is not None:
                cut(path, FILE, torn_at)
        self._kept = set(answers)
        self._sizes = _sizes(path)
        self._bytes = sum(self._sizes.values())

    def keep(self, workload: str, conversation: Conversation, turn: int) -> None:
        """Write the request of turn number ``turn``, unless that was done; UsageError when the disk refuses."""
        request = conversation.turns[turn]
        if (workload, request.id) in self._kept:
            return
        question = " ".join(part for part in request.content if isinstance(part, str))
        with writing_to(self._path):
            media = tuple(self._medium(medium) for medium in media_in(conversation.prompt(turn)))
            changed = ChangedAnswer(workload, request.id, question, media, request.answer_begins)
            line = json.dumps(asdict(changed), ensure_ascii=False)
            with open_to_append(self._path, FILE) as file:
                rest = memoryview(f"{line}\n".encode())
                while rest:
                    rest = rest[file.write(rest) :]
        self._kept.add((workload, request.id))

    def _medium(self, medium: Media) -> KeptMedium:
        name = content_name(medium.data)
        if not self._keep_media:
            return KeptMedium(medium.kind, medium.name, None)
        if name not in self._sizes:
            if len(medium.data) > LARGEST_MEDIUM or self._bytes + len(medium.data) > MOST_BYTES:
                return KeptMedium(medium.kind, medium.name, None)
            write_whole(self._path, f"{FOLDER}/{name}", medium.data)
            self._sizes[name] = len(medium.data)
            self._bytes += len(medium.data)
        return KeptMedium(medium.kind, medium.name, name)


def read_changed_answers(path: Path) -> dict[tuple[str, str], ChangedAnswer]:
    """The log in a run folder, by workload and request; a torn last line is left out.

    Raises:
        UsageError: a line is corrupt, or there is too much to read.
    """
    answers, _ = _read(path)
    return answers


def content_name(data: bytes) -> str:
    """The name under which a medium is kept: the BLAKE3 hash of its file, 128 bits of it."""
    return blake3(data).hexdigest(length=16)


def read_medium(path: Path, medium: KeptMedium) -> bytes | None:
    """The encoded file of a medium in a run folder; None where it was not kept, or no such file can be read.

    A file that is not the one that its name tells was put there by someone else, such as a link to a private picture.
    """
    if medium.file is None:
        return None
    try:
        data = read_within(path, f"{FOLDER}/{medium.file}", LARGEST_MEDIUM, "kept medium")
    except UsageError:
        return None
    return data if content_name(data) == medium.file else None


def _read(path: Path) -> tuple[dict[tuple[str, str], ChangedAnswer], int | None]:
    """The log, and the byte offset of a last line that a kill left torn; None when there is none."""
    answers: dict[tuple[str, str], ChangedAnswer] = {}
    for line in read_lines(path, FILE, LARGEST_LOG, MOST_ANSWERS):
        if not line.whole:
            return answers, line.start
        try:
            changed = read_json(line.data, ChangedAnswer)
        except UsageError as error:
            raise UsageError(f"{path / FILE}, line {line.number} is corrupt ({error}); remove that line") from error
        answers[changed.workload, changed.request] = changed
    return answers, None


def _sizes(path: Path) -> dict[str, int]:
    """The size in bytes of each file in a run's folder of media; UsageError when that folder is a link."""
    if not os.path.lexists(path / FOLDER):
        return {}
    with writing_to(path / FOLDER):
        folder = open_folder(path, FOLDER)
        try:
            with os.scandir(folder) as files:
                regular = (file for file in files if file.is_file(follow_symlinks=False))
                return {file.name: file.stat(follow_symlinks=False).st_size for file in regular}
        finally:
            os.close(folder)
