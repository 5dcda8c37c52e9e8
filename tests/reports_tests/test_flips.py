from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reports.summary.flips import FlipKind, count_flips, find_flips
from runners.records import Record, Status

MakeRecord = Callable[..., Record]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (1.0, 0.0, FlipKind.LOST),
        (0.8, 0.5, FlipKind.LOST),
        (0.0, 1.0, FlipKind.WON),
        (0.0, 0.0, FlipKind.CHANGED),
        (1.0, 1.0, FlipKind.REWORDED),
        (None, None, FlipKind.UNSCORED),
    ],
)
def test_what_a_changed_answer_means(
    make_record: MakeRecord, before: float | None, after: float | None, kind: FlipKind
) -> None:
    base = replace(make_record(score=before), answer="A B", token_ids=(1, 2, 3))
    mine = replace(make_record(runner="vlcache", score=after), answer="A C", token_ids=(1, 2, 4))
    (flip,) = find_flips([mine, base], "full")
    assert (flip.kind, flip.reference_answer, flip.answer, flip.first_differing_token) == (kind, "A B", "A C", 2)
    assert (flip.reference_score, flip.score, flip.runner) == (before, after, "vlcache")
    assert count_flips([flip]) == {("binding", "vlcache"): {**dict.fromkeys(FlipKind, 0), kind: 1}}


def test_an_answer_that_goes_on_differs_where_the_other_ends(make_record: MakeRecord) -> None:
    mine = replace(make_record(runner="vlcache"), answer="A and more", token_ids=(7, 8))
    (flip,) = find_flips([make_record(), mine], "full")
    assert flip.first_differing_token == 1


def test_only_answers_to_the_same_request_are_compared(make_record: MakeRecord) -> None:
    broken = make_record("q1", status=Status.ERROR)
    others = [
        make_record("q1", "vlcache"),
        make_record("q2", "vlcache"),
        make_record("q0", "vlcache", status=Status.ERROR),
    ]
    same = make_record("q0", "prefix-cache")
    assert find_flips([make_record("q0"), broken, same, *others], "full") == []
    assert count_flips([]) == {}
