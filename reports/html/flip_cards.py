"""The changed answers of a run, request by request: what was asked, what each runner said, and what it had computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.html.chart import Numbers
from reports.html.overlay import Overlay, overlay
from reports.html.thumbnails import Album, Thumbnail
from reports.run.changed_answers import ChangedAnswer, KeptMedium
from reports.runs import Run
from reports.statistics.shown import UNDEFINED, number
from reports.summary.flips import Flip, FlipKind, count_flips, ledger
from runners.records import ComputedMedium, Record, Status

FAILED = "no answer"
KINDS = (FlipKind.LOST, FAILED, FlipKind.CHANGED, FlipKind.UNSCORED, FlipKind.WON, FlipKind.REWORDED)
WORST_FIRST = tuple(str(kind) for kind in KINDS)
MOST_CARDS = 100
MOST_OVERLAY_CHARACTERS = 1_000_000
LONGEST_QUESTION = 2_000
LONGEST_ANSWER = 600
LONGEST_TITLE = 110


@dataclass(frozen=True)
class Shown:
    """One medium of a prompt: its pictures, as many as moments are shown, None for one that is missing."""

    medium: KeptMedium
    pictures: tuple[Thumbnail | None, ...]


@dataclass(frozen=True)
class Said:
    """What one runner made of a request.

    Attributes:
        overlays: of each medium; None where nothing is known. Paths are left out when the page is full.
    """

    runner: str
    kind: str
    answer: str
    score: str
    first_differing_token: str
    overlays: tuple[Overlay | None, ...]


@dataclass(frozen=True)
class Card:
    """One request that some runner answered differently, or not at all."""

    workload: str
    request: str
    title: str
    question: str
    gold: tuple[str, ...]
    reference_answer: str | None
    reference_score: str
    media: tuple[Shown, ...]
    said: tuple[Said, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many runners made each kind of change."""
        kinds = [said.kind for said in self.said]
        return {kind: kinds.count(kind) for kind in WORST_FIRST if kind in kinds}


@dataclass
class Room:
    """Characters that are left for overlays.

    Attributes:
        left_out: overlays that there was no room for.
    """

    left: int = MOST_OVERLAY_CHARACTERS
    left_out: int = 0

    def take(self, found: Overlay | None) -> Overlay | None:
        """The overlay, without its paths where there is no room for them."""
        if found is None:
            return None
        if found.size > self.left:
            self.left_out += 1
            return replace(found, frames=(), shown=())
        self.left -= found.size
        return found


@dataclass(frozen=True)
class Explorer:
    """All cards that are shown, the worst first.

    Attributes:
        ledger: how many changed answers of each kind every runner gave.
        requests: how many requests have a changed answer or a failure, shown or not.
        notes: what was left out.
    """

    cards: Sequence[Card]
    album: Album
    ledger: Numbers
    requests: int
    notes: Sequence[str]

    @property
    def runners(self) -> list[str]:
        """Those that said something in a card."""
        return list(dict.fromkeys(said.runner for card in self.cards for said in card.said))

    @property
    def kinds(self) -> list[str]:
        """The kinds of change in the cards, the worst first."""
        seen = {said.kind for card in self.cards for said in card.said}
        return [kind for kind in WORST_FIRST if kind in seen]


def explore(run: Run, with_media: bool, prefix: str) -> Explorer:
    """Everything about a run's changed answers; ``prefix`` tells the names of its pictures from other runs'."""
    album = Album(run.path, prefix)
    changed: dict[tuple[str, str], list[Flip]] = {}
    for flip in run.flips:
        changed.setdefault((flip.workload, flip.request), []).append(flip)
    failed: dict[tuple[str, str], list[Record]] = {}
    for record in run.records:
        if record.status is not Status.OK:
            failed.setdefault((record.workload, record.request), []).append(record)
    keys = list(dict.fromkeys([*changed, *failed]))
    keys.sort(key=lambda key: -sum(flip.kind is FlipKind.LOST for flip in changed.get(key, ())))
    references = {(told.workload, told.request): told for told in run.records if told.runner == run.reference}
    room, layers = Room(), max((told.cache.layers for told in run.records if told.cache is not None), default=0)
    cards = [
        _card(
            run.changed_answers.get(key) or ChangedAnswer(*key, "", ()),
            changed.get(key, []),
            failed.get(key, []),
            reference=references.get(key),
            album=album if with_media else None,
            room=room,
            layers=layers,
        )
        for key in keys[:MOST_CARDS]
    ]
    return Explorer(cards, album, _ledger(run), len(keys), _notes(run, keys, album, room, with_media))


def _card(
    asked: ChangedAnswer,
    flips: Sequence[Flip],
    failed: Sequence[Record],
    reference: Record | None,
    album: Album | None,
    room: Room,
    layers: int,
) -> Card:
    said = []
    for flip in flips:
        overlays = tuple(room.take(overlay(medium, layers)) for medium in flip.computed)
        token = str(flip.first_differing_token)
        said.append(Said(flip.runner, flip.kind.value, _cut(flip.answer), number(flip.score, "g"), token, overlays))
    for record in failed:
        told = f"{record.status.value}: {record.error or ''}"
        said.append(Said(record.runner, FAILED, _cut(told), number(record.score, "g"), UNDEFINED, ()))
    grids = next((flip.computed for flip in flips if len(flip.computed) == len(asked.media)), ())
    answer = reference.answer if reference is not None else None
    return Card(
        workload=asked.workload,
        request=asked.request,
        title=_title(asked.question),
        question=_cut(asked.question, LONGEST_QUESTION),
        gold=tuple(_cut(gold) for gold in (flips[0].gold if flips else failed[0].gold)),
        reference_answer=None if answer is None else _cut(answer),
        reference_score=number(reference.score if reference is not None else None, "g"),
        media=tuple(_shown(medium, place, grids, album) for place, medium in enumerate(asked.media)),
        said=tuple(sorted(said, key=lambda found: WORST_FIRST.index(found.kind))),
    )


def _shown(medium: KeptMedium, place: int, grids: Sequence[ComputedMedium], album: Album | None) -> Shown:
    frames = grids[place].frames if place < len(grids) and medium.kind == "video" else 1
    return Shown(medium, album.of(medium, frames) if album is not None else ())


def _ledger(run: Run) -> Numbers:
    head, lines = ledger(count_flips(run.flips))
    return Numbers("changed answers by runner", tuple(head), [tuple(line) for line in lines])


def _notes(run: Run, keys: Sequence[tuple[str, str]], album: Album, room: Room, with_media: bool) -> list[str]:
    notes = []
    if len(keys) > MOST_CARDS:
        notes.append(
            f"{len(keys) - MOST_CARDS} of {len(keys)} requests are left out; those with most losses are shown."
        )
    if any(key not in run.changed_answers for key in keys[:MOST_CARDS]):
        notes.append("Of some requests the run folder tells no question; it was written by an earlier version.")
    if not with_media:
        notes.append("Pictures are left out (--no-media).")
    if album.left_out:
        notes.append(f"{album.left_out} pictures are left out: the page holds 3 MB of them.")
    if album.unreadable:
        notes.append(f"{len(album.unreadable)} media could not be decoded; their names stand in their place.")
    if room.left_out:
        notes.append(f"{room.left_out} overlays are left out: the page is full.")
    return notes


def _title(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}\N{HORIZONTAL ELLIPSIS}"


def _cut(text: str, most: int = LONGEST_ANSWER) -> str:
    return text if len(text) <= most else f"{text[:most]}\N{HORIZONTAL ELLIPSIS}"
