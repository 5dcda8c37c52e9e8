"""Answers that a method changed: what became of each, against the reference's answer to the same request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runners.records import ComputedMedium, Record, Status


class FlipKind(StrEnum):
    """What a changed answer means. Of partial scores, one that falls is lost and one that rises is won."""

    LOST = "correct->wrong"
    WON = "wrong->correct"
    CHANGED = "wrong->other wrong"
    REWORDED = "other words, same score"
    UNSCORED = "other words, no gold answer"


@dataclass(frozen=True)
class Flip:
    """One changed answer.

    Attributes:
        first_differing_token: index in both token sequences; the length of the shorter where it begins the other.
        reference_score, score: 0..1; None without a gold answer.
        computed: of each medium of the prompt, in order, which tokens the runner computed.
    """

    workload: str
    request: str
    runner: str
    cluster_id: str
    kind: FlipKind
    gold: tuple[str, ...]
    reference_answer: str
    answer: str
    first_differing_token: int
    reference_score: float | None
    score: float | None
    computed: tuple[ComputedMedium, ...]


def find_flips(records: Sequence[Record], reference: str) -> list[Flip]:
    """Every answer that differs from what runner ``reference`` answered, in the order of the records.

    Requests that either failed have no answer to compare; they are counted as failed elsewhere.
    """
    return list(_flips(records, reference))


def _flips(records: Sequence[Record], reference: str) -> Iterator[Flip]:
    expected = {
        (record.workload, record.request): record
        for record in records
        if record.runner == reference and record.status is Status.OK and record.invalid is None
    }
    for record in records:
        base = expected.get((record.workload, record.request))
        if base is None or record.status is not Status.OK or record.invalid is not None:
            continue
        if record.answer == base.answer:
            continue
        yield Flip(
            workload=record.workload,
            request=record.request,
            runner=record.runner,
            cluster_id=record.cluster_id,
            kind=_kind(base.score, record.score),
            gold=record.gold,
            reference_answer=base.answer or "",
            answer=record.answer or "",
            first_differing_token=_first_difference(base.token_ids, record.token_ids),
            reference_score=base.score,
            score=record.score,
            computed=record.computed,
        )


def count_flips(flips: Sequence[Flip]) -> dict[tuple[str, str], dict[FlipKind, int]]:
    """How many of each kind, 0 included, by workload and runner; those without any are left out."""
    counts: dict[tuple[str, str], dict[FlipKind, int]] = {}
    for flip in flips:
        counts.setdefault((flip.workload, flip.runner), dict.fromkeys(FlipKind, 0))[flip.kind] += 1
    return counts


def flip_counts_as_text(counts: Mapping[tuple[str, str], Mapping[FlipKind, int]]) -> tuple[list[str], list[list[str]]]:
    """``count_flips`` as texts: the head of a table, and a line for each workload and runner, its sum at the end."""
    head = ["workload", "runner", *(kind.value for kind in FlipKind), "all"]
    lines = [
        [workload, runner, *(str(numbers[kind]) for kind in FlipKind), str(sum(numbers.values()))]
        for (workload, runner), numbers in counts.items()
    ]
    return head, lines


def _kind(before: float | None, after: float | None) -> FlipKind:
    if before is None or after is None:
        return FlipKind.UNSCORED
    if after != before:
        return FlipKind.LOST if after < before else FlipKind.WON
    return FlipKind.CHANGED if before == 0 else FlipKind.REWORDED


def _first_difference(left: Sequence[int], right: Sequence[int]) -> int:
    pairs = zip(left, right, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
