"""Make a card for each changed request: what was asked, what each runner answered, and what it had computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.html.overlay import Overlay, overlay
from reports.html.thumbnails import Album, Thumbnail
from reports.run.changed_answers import ChangedAnswer, KeptMedium
from reports.runs import Run
from reports.statistics.formatting import UNDEFINED, number
from reports.summary.flips import Flip, FlipKind
from reports.tables.summary import ledger_table
from reports.tables.table import Table
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
class PromptMedium:
    """One medium of a prompt: its pictures, as many as moments are shown, None for one that is missing."""

    medium: KeptMedium
    pictures: tuple[Thumbnail | None, ...]


@dataclass(frozen=True)
class RunnerAnswer:
    """One runner's answer to a request, or its failure.

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
    answer_begins: str
    gold: tuple[str, ...]
    reference_answer: str | None
    reference_score: str
    media: tuple[PromptMedium, ...]
    answers: tuple[RunnerAnswer, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many runners made each kind of change."""
        kinds = [answer.kind for answer in self.answers]
        return {kind: kinds.count(kind) for kind in WORST_FIRST if kind in kinds}


@dataclass
class CharacterBudget:
    """How many characters of the page are left for overlays.

    Attributes:
        left_out: overlays that there was no room for.
    """

    left: int = MOST_OVERLAY_CHARACTERS
    left_out: int = 0

    def take(self, overlay: Overlay | None) -> Overlay | None:
        """The overlay, without its paths where there is no room for them."""
        if overlay is None:
            return None
        if overlay.size > self.left:
            self.left_out += 1
            return replace(overlay, frames=(), shown_frames=())
        self.left -= overlay.size
        return overlay


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
    ledger: Table
    requests: int
    notes: Sequence[str]

    @property
    def runners(self) -> list[str]:
        """Those with an answer, or without one that they should have, in a card."""
        return list(dict.fromkeys(answer.runner for card in self.cards for answer in card.answers))

    @property
    def kinds(self) -> list[str]:
        """The kinds of change in the cards, the worst first."""
        seen = {answer.kind for card in self.cards for answer in card.answers}
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
    references = {(record.workload, record.request): record for record in run.records if record.runner == run.reference}
    budget = CharacterBudget()
    layers = max((record.cache.layers for record in run.records if record.cache is not None), default=0)
    cards = [
        _card(
            asked=run.changed_answers.get(key) or ChangedAnswer(*key, "", ()),
            flips=changed.get(key, []),
            failed=failed.get(key, []),
            reference=references.get(key),
            album=album if with_media else None,
            budget=budget,
            layers=layers,
        )
        for key in keys[:MOST_CARDS]
    ]
    return Explorer(cards, album, _ledger(run), len(keys), _notes(run, keys, album, budget, with_media))


def _card(
    asked: ChangedAnswer,
    flips: Sequence[Flip],
    failed: Sequence[Record],
    reference: Record | None,
    album: Album | None,
    budget: CharacterBudget,
    layers: int,
) -> Card:
    answers = []
    for flip in flips:
        overlays = tuple(budget.take(overlay(medium, layers)) for medium in flip.computed)
        token = str(flip.first_differing_token)
        score, kind = number(flip.score, "g"), flip.kind.value
        answers.append(RunnerAnswer(flip.runner, kind, _cut(flip.answer), score, token, overlays))
    for record in failed:
        reason = f"{record.status.value}: {record.error or ''}"
        answers.append(RunnerAnswer(record.runner, FAILED, _cut(reason), number(record.score, "g"), UNDEFINED, ()))
    grids = next((flip.computed for flip in flips if len(flip.computed) == len(asked.media)), ())
    answer = reference.answer if reference is not None else None
    return Card(
        workload=asked.workload,
        request=asked.request,
        title=_title(f"{asked.question} {asked.answer_begins}"),
        question=_cut(asked.question, LONGEST_QUESTION),
        answer_begins=_cut(asked.answer_begins),
        gold=tuple(_cut(gold) for gold in (flips[0].gold if flips else failed[0].gold)),
        reference_answer=None if answer is None else _cut(answer),
        reference_score=number(reference.score if reference is not None else None, "g"),
        media=tuple(_prompt_medium(medium, place, grids, album) for place, medium in enumerate(asked.media)),
        answers=tuple(sorted(answers, key=lambda entry: WORST_FIRST.index(entry.kind))),
    )


def _prompt_medium(
    medium: KeptMedium, place: int, grids: Sequence[ComputedMedium], album: Album | None
) -> PromptMedium:
    frames = grids[place].frames if place < len(grids) and medium.kind == "video" else 1
    return PromptMedium(medium, album.of(medium, frames) if album is not None else ())


def _ledger(run: Run) -> Table:
    return replace(ledger_table(run.flips), title="changed answers by runner")


def _notes(
    run: Run, keys: Sequence[tuple[str, str]], album: Album, budget: CharacterBudget, with_media: bool
) -> list[str]:
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
    if budget.left_out:
        notes.append(f"{budget.left_out} overlays are left out: the page is full.")
    return notes


def _title(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}\N{HORIZONTAL ELLIPSIS}"


def _cut(text: str, most: int = LONGEST_ANSWER) -> str:
    return text if len(text) <= most else f"{text[:most]}\N{HORIZONTAL ELLIPSIS}"
