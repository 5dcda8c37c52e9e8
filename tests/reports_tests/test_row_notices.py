from __future__ import annotations

from typing import Any

import pytest

from reports.summary.notice import Notice, NoticeKind
from reports.summary.row import Row
from reports.summary.row_notices import row_notices


def notices(**values: Any) -> list[Notice]:
    known: dict[str, Any] = {"runner": "vlcache", "workload": "binding", "margin": 0.02, "alpha": 0.05}
    known |= {"requests": 16, "scored": 16, "failed": 0, "fallbacks": 0, "vision_tokens": 500.0}
    known |= {"media_hit_rate_recurring": 1.0}
    known |= {"model": "builtin", "device": "cpu", "dtype": "float32"}
    return [*row_notices([Row(**known | values)])]


@pytest.mark.parametrize(
    ("values", "kind", "told"),
    [
        ({"failed": 2}, NoticeKind.FAILED_REQUESTS, "vlcache 2 of 16"),
        ({"fallbacks": 3}, NoticeKind.FALLBACKS, "vlcache 3"),
        ({"media_hit_rate_recurring": None}, NoticeKind.NO_REUSE, "no medium came back"),
        ({"media_hit_rate_recurring": 0.0}, NoticeKind.NO_REUSE, "no runner had them stored"),
        ({"weights": "random"}, NoticeKind.RANDOM_WEIGHTS, "answers mean nothing"),
        ({"scored": 0}, NoticeKind.NO_GOLD, "undefined"),
        ({"scored": 15}, NoticeKind.NO_GOLD, "1 of 16"),
        ({"parse_failed": 4}, NoticeKind.UNREADABLE_ANSWERS, "vlcache 4 of 16"),
        ({"official_accuracy": 0.5}, NoticeKind.OFFICIAL_SCORE, "vlcache 50.0 %"),
        (
            {"verdict": "broken", "differences": 2, "first_difference": "q7"},
            NoticeKind.BROKEN,
            "vlcache is lossless and answered 2 of 16 requests unlike the reference, q7 first",
        ),
        ({"noise_flip_rate": 0.03}, NoticeKind.NOISE_FLOOR, "3.0 %"),
        ({"verdict": "undecided", "needed_separate": 149, "needed_requests": 300}, NoticeKind.FEW_SAMPLES, "1 of 1"),
    ],
)
def test_each_has_its_reason_and_its_advice(values: dict[str, Any], kind: NoticeKind, told: str) -> None:
    (notice,) = notices(**values)
    assert (notice.kind, notice.workload) == (kind, "binding")
    assert told in notice.text
    assert notice.advice


def test_without_a_reason_there_is_none() -> None:
    assert notices() == []
    assert notices(verdict="non-inferior", noise_flip_rate=0.0) == []
    assert notices(vision_tokens=0.0, media_hit_rate_recurring=None) == []
