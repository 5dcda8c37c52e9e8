"""Warnings about promises: no calibration, requests unlike those calibrated on, looks in vain, and broken promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.summary.notice import Notice, NoticeKind
from reports.summary.row import Row

MANY_UNLIKE = 0.05  # of the warm requests looked at
MANY_SKIPPED = 0.05  # of the warm requests


def risk_notices(rows: Sequence[Row]) -> Iterator[Notice]:
    """Yield the warnings about every runner of one workload that promises something."""
    for row in rows:
        if row.risk_promised is None:
            continue
        yield from _uncalibrated(row)
        yield from _unlike(row)
        yield from _skipped(row)
        yield from _broken(row)


def promise_is_broken(row: Row) -> bool:
    """Whether a runner surely changed more answers than it promised and rounding does: by the low end of its share."""
    low, promised = row.risk_found_ci_low, row.risk_promised
    return low is not None and promised is not None and low > promised + (row.noise_flip_rate or 0)


def _uncalibrated(row: Row) -> Iterator[Notice]:
    if row.calibration is None:
        yield _notice(
            row,
            NoticeKind.UNCALIBRATED,
            f"{row.runner} is uncalibrated on this model with its donors and ranking, so it computes everything",
            "vlcache profile calibrates it; --recompute-ratio 0.05 reuses without a promise",
        )
    elif row.risk_promised is not None and row.risk_threshold == 0:
        yield _notice(
            row,
            NoticeKind.UNCALIBRATED,
            f"{row.runner} cannot promise {100 * row.risk_promised:g} % after its calibration on {row.calibration}",
            "so it computes everything: calibrate on more requests, or raise --risk",
        )


def _unlike(row: Row) -> Iterator[Notice]:
    if row.unlike_share is not None and row.unlike_share > MANY_UNLIKE:
        yield _notice(
            row,
            NoticeKind.UNLIKE,
            f"{100 * row.unlike_share:.0f} % of the warm requests looked at are unlike those that {row.runner} was "
            f"calibrated on ({row.calibration})",
            "everything is computed there: calibrate on such requests with vlcache profile",
        )


def _skipped(row: Row) -> Iterator[Notice]:
    if row.skipped_share is not None and row.skipped_share > MANY_SKIPPED:
        yield _notice(
            row,
            NoticeKind.SKIPPED,
            f"{row.runner} computed everything in {100 * row.skipped_share:.0f} % of the warm requests without "
            "estimating their risk, since the estimates before them saved nothing",
            "answers there are those of full recomputation: a calibration on such requests may keep more of them",
        )


def _broken(row: Row) -> Iterator[Notice]:
    low, found, promised = row.risk_found_ci_low, row.risk_found, row.risk_promised
    if low is None or found is None or promised is None or not promise_is_broken(row):
        return
    yield _notice(
        row,
        NoticeKind.BROKEN_PROMISE,
        f"{row.runner} promised to change {100 * promised:g} % of the answers at most and changed {100 * found:.1f} %, "
        f"at least {100 * low:.1f} % for sure",
        f"its calibration on {row.calibration} did not tell of requests like these: do not use it here before "
        "vlcache profile has seen more of them",
    )


def _notice(row: Row, kind: NoticeKind, text: str, advice: str) -> Notice:
    return Notice(kind, row.workload, row.runner, text, advice)
