"""The log of changed answers: requests whose answer differs from the reference's or is missing, with their media."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from blake3 import blake3

from reports.run.disk import writing_to
from workloads.errors import UsageError
from workloads.reading import keys, read_json
from workloads.records import Conversation, Media, media_in

FILE = "asked.jsonl"
FOLDER = "media"
LARGEST_MEDIUM = 16 << 20
MOST_BYTES = 256 << 20
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
            raise UsageError(f"'{self.file}' is no name of a kept medium")


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
        _mend(path / FILE)
        self._kept = set(read_changed_answers(path))
        self._bytes = sum(file.stat().st_size for file in (path / FOLDER).glob("*"))

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
            with (self._path / FILE).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        self._kept.add((workload, request.id))

    def _medium(self, medium: Media) -> KeptMedium:
        name = blake3(medium.data).hexdigest(length=16)
        file = self._path / FOLDER / name
        if not self._keep_media:
            return KeptMedium(medium.kind, medium.name, None)
        if not file.exists():
            if len(medium.data) > LARGEST_MEDIUM or self._bytes + len(medium.data) > MOST_BYTES:
                return KeptMedium(medium.kind, medium.name, None)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(medium.data)
            self._bytes += len(medium.data)
        return KeptMedium(medium.kind, medium.name, name)


def read_changed_answers(path: Path) -> dict[tuple[str, str], ChangedAnswer]:
    """The log in a run folder, by workload and request; a torn last line is left out.

    Raises:
        UsageError: a line is corrupt.
    """
    try:
        lines = (path / FILE).read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path / FILE}: {error}") from error
    answers: dict[tuple[str, str], ChangedAnswer] = {}
    for number, line in enumerate(lines, start=1):
        try:
            changed = read_json(line, ChangedAnswer)
        except UsageError as error:
            raise UsageError(f"{path / FILE}, line {number} is corrupt ({error}); remove that line") from error
        answers[changed.workload, changed.request] = changed
    return answers


def read_medium(path: Path, medium: KeptMedium) -> bytes | None:
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
