from __future__ import annotations

from typing import Any

import pytest

from reports.summary.notice import Notice, NoticeKind
from reports.summary.risk_notices import promise_is_broken, risk_notices
from reports.summary.row import Row
from reports.summary.row_notices import row_notices

CALIBRATED = "290 requests of quote, prose"


def row(**values: Any) -> Row:
    """A runner that promises 2 %, was calibrated, and keeps its promise; any of it may be said otherwise."""
    known: dict[str, Any] = {"runner": "vlcache", "workload": "binding", "margin": 0.02, "alpha": 0.05}
    known |= {"model": "builtin", "device": "cpu", "dtype": "float32", "requests": 16, "failed": 0, "fallbacks": 0}
    known |= {"kept_share": 0.75, "repaired_share": 0.25, "recomputed_share": 0.0, "unlike_share": 0.0}
    known |= {"risk_promised": 0.02, "risk_predicted": 0.01, "risk_threshold": 0.015, "calibration": CALIBRATED}
    known |= {"risk_found": 0.01, "risk_found_ci_low": 0.002, "risk_found_ci_high": 0.04}
    return Row(**known | values)


def notices(**values: Any) -> list[Notice]:
    return [*risk_notices([row(**values)])]


EVERYTHING = {"kept_share": 0.0, "repaired_share": 0.0, "recomputed_share": 1.0}
BROKEN = {"risk_found": 0.08, "risk_found_ci_low": 0.05, "risk_found_ci_high": 0.13}


@pytest.mark.parametrize(
    ("values", "kind", "told", "advice"),
    [
        (
            EVERYTHING | {"calibration": None},
            NoticeKind.UNCALIBRATED,
            "vlcache is uncalibrated on this model with its donors and ranking, so it computes everything",
            "vlcache profile calibrates it",
        ),
        (
            EVERYTHING | {"risk_threshold": 0.0},
            NoticeKind.UNCALIBRATED,
            f"vlcache cannot promise 2 % after its calibration on {CALIBRATED}",
            "calibrate on more requests, or raise --risk",
        ),
        (
            {"unlike_share": 0.0625},
            NoticeKind.UNLIKE,
            f"6 % of the warm requests looked at are unlike those that vlcache was calibrated on ({CALIBRATED})",
            "everything is computed there",
        ),
        (
            EVERYTHING | {"unlike_share": 1.0},
            NoticeKind.UNLIKE,
            "100 % of the warm requests",
            "calibrate on such requests",
        ),
        (
            {"skipped_share": 0.3},
            NoticeKind.SKIPPED,
            "vlcache computed everything in 30 % of the warm requests without estimating their risk",
            "a calibration on such requests may keep more of them",
        ),
        (
            BROKEN,
            NoticeKind.BROKEN_PROMISE,
            "vlcache promised to change 2 % of the answers at most and changed 8.0 %, at least 5.0 % for sure",
            f"its calibration on {CALIBRATED} did not tell of requests like these: do not use it here",
        ),
    ],
)
def test_each_has_its_reason_and_its_advice(values: dict[str, Any], kind: NoticeKind, told: str, advice: str) -> None:
    (notice,) = notices(**values)
    assert (notice.kind, notice.workload, notice.runner) == (kind, "binding", "vlcache")
    assert told in notice.text
    assert advice in notice.advice


def test_where_all_is_well_there_is_none() -> None:
    assert notices() == []
    assert notices(unlike_share=0.05, skipped_share=0.05) == []
    assert notices(**EVERYTHING) == [], "where computing everything is cheaper than choosing"
    assert notices(risk_found=0.03, risk_found_ci_low=0.015) == [], "more than promised, but not for sure"
    assert notices(risk_found=None, risk_found_ci_low=None, risk_found_ci_high=None) == []


def test_rounding_is_no_damage() -> None:
    assert notices(**BROKEN, noise_flip_rate=0.03) == []
    (notice,) = notices(**BROKEN, noise_flip_rate=0.0299)
    assert notice.kind is NoticeKind.BROKEN_PROMISE
    assert not promise_is_broken(row(**BROKEN, noise_flip_rate=0.03))
    assert promise_is_broken(row(**BROKEN))


@pytest.mark.parametrize("values", [EVERYTHING | {"calibration": None}, BROKEN, {"unlike_share": 0.5}])
def test_who_promises_nothing_breaks_nothing(values: dict[str, Any]) -> None:
    assert notices(**values | {"risk_promised": None}) == []
    assert not promise_is_broken(row(**values | {"risk_promised": None}))


def test_a_broken_promise_is_red_and_among_the_notices_of_the_workload() -> None:
    found = [*row_notices([row(**BROKEN, scored=16, media_hit_rate_recurring=1.0, vision_tokens=500.0)])]
    assert [(notice.kind, notice.kind.style) for notice in found] == [(NoticeKind.BROKEN_PROMISE, "red")]
