"""The notice that tells what zipf popularity costs in evidence."""

from __future__ import annotations

from typing import Any

import pytest

from reports.summary.notice import NoticeKind
from reports.summary.popularity_notices import popularity_notices
from reports.summary.row import Row

ASKED = {"popularity": "zipf"}


def rows(workload: str, *worths: float | None, requests: int = 200) -> list[Row]:
    known: dict[str, Any] = {"workload": workload, "requests": requests, "failed": 0, "fallbacks": 0, "margin": 0.02}
    known |= {"alpha": 0.05, "model": "builtin", "device": "cpu", "dtype": "float32"}
    return [Row(**known, runner=f"runner-{number}", compared_worth=worth) for number, worth in enumerate(worths)]


@pytest.mark.parametrize(
    ("workload", "worth", "told", "advice"),
    [
        ("binding", 3.6, "these 200 requests are worth 3 separate ones", "they would be worth 66"),
        ("doc-qa", 1.0, "these 200 requests are worth 1 separate one", "they would be worth 100"),
    ],
)
def test_it_says_what_the_requests_are_worth_and_would_be(workload: str, worth: float, told: str, advice: str) -> None:
    (notice,) = popularity_notices(ASKED, rows(workload, None, worth))
    assert (notice.kind, notice.workload, notice.runner) == (NoticeKind.POPULARITY, workload, None)
    assert notice.text == f"zipf popularity: {told}"
    assert notice.advice == f"without --popularity {advice}"


def test_it_says_nothing_without_a_reason() -> None:
    assert not list(popularity_notices({}, rows("binding", 1.0)))
    assert not list(popularity_notices({"popularity": "own"}, rows("binding", 1.0)))
    assert not list(popularity_notices(ASKED, rows("binding", 66.0)))
    assert not list(popularity_notices(ASKED, rows("binding", None)))
    assert not list(popularity_notices(ASKED, rows("requests.jsonl", 1.0)))
