"""Warnings that the summary of one workload gives reason for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.statistics.needed import Needed
from reports.summary.exactness import BROKEN
from reports.summary.notice import Notice, NoticeKind
from reports.summary.risk_notices import risk_notices
from reports.summary.row import Row


def row_notices(rows: Sequence[Row]) -> Iterator[Notice]:
    """Of one workload's rows, the reference's first."""
    yield from _failed(rows)
    yield from _not_reused(rows)
    if rows[0].weights == "random":
        yield _notice(
            rows,
            NoticeKind.RANDOM_WEIGHTS,
            "random weights: answers mean nothing",
            "accuracy, agreement, KL and verdict are left out",
        )
        return
    yield from _scoring(rows)
    yield from _noise(rows)
    yield from _broken(rows)
    yield from risk_notices(rows)
    yield from _undecided(rows)


def points(share: float) -> str:
    """A share of accuracy in words."""
    told = f"{100 * share:g}"
    return f"{told} point" if told == "1" else f"{told} points"


def _notice(rows: Sequence[Row], kind: NoticeKind, text: str, advice: str) -> Notice:
    return Notice(kind, rows[0].workload, None, text, advice)


def _failed(rows: Sequence[Row]) -> Iterator[Notice]:
    failed = [f"{row.runner} {row.failed} of {row.requests}" for row in rows if row.failed]
    if failed:
        text = f"failed, counted as wrong: {', '.join(failed)}"
        yield _notice(rows, NoticeKind.FAILED_REQUESTS, text, "the records say why")


def _not_reused(rows: Sequence[Row]) -> Iterator[Notice]:
    fallen = [f"{row.runner} {row.fallbacks}" for row in rows if row.fallbacks]
    if fallen:
        text = f"computed although reusable: {', '.join(fallen)}"
        yield _notice(rows, NoticeKind.FALLBACKS, text, "the records say why; a larger --device-budget evicts less")
    rates = [row.media_hit_rate_recurring for row in rows if row.media_hit_rate_recurring is not None]
    if not rates and any(row.vision_tokens for row in rows):
        text = "reuse never happened: no medium came back"
        yield _notice(rows, NoticeKind.NO_REUSE, text, "raise --samples or --reuse-rate, or choose another --recur")
    elif rates and not any(rates):
        text = "reuse never happened: media came back, and no runner had them stored"
        yield _notice(rows, NoticeKind.NO_REUSE, text, "check the runners, and that --device-budget holds one medium")


def _scoring(rows: Sequence[Row]) -> Iterator[Notice]:
    requests, scored = rows[0].requests, rows[0].scored
    if not scored:
        text = "no gold answers: accuracy and verdict are undefined"
        yield _notice(rows, NoticeKind.NO_GOLD, text, "same % (agreement) is what counts")
    elif scored < requests:
        text = f"{requests - scored} of {requests} requests have no gold answer"
        yield _notice(rows, NoticeKind.NO_GOLD, text, "only same % is about them")
    unread = [f"{row.runner} {row.parse_failed} of {row.scored}" for row in rows if row.parse_failed]
    if unread:
        text = f"answers that could not be read, counted as wrong: {', '.join(unread)}"
        yield _notice(
            rows, NoticeKind.UNREADABLE_ANSWERS, text, "look at them in the records; is --max-new-tokens too low?"
        )
    official = [
        f"{row.runner} {100 * row.official_accuracy:.1f} %" for row in rows if row.official_accuracy is not None
    ]
    if official:
        text = f"by the official scorer: {', '.join(official)}"
        yield _notice(rows, NoticeKind.OFFICIAL_SCORE, text, "its guesses are included: compare runners by accuracy")


def _noise(rows: Sequence[Row]) -> Iterator[Notice]:
    floor = rows[0].noise_flip_rate
    if floor:
        text = f"rounding alone changes {100 * floor:.1f} % of the reference's answers"
        yield _notice(rows, NoticeKind.NOISE_FLOOR, text, "judge a runner's changed answers against that")


def _broken(rows: Sequence[Row]) -> Iterator[Notice]:
    for row in rows:
        if row.verdict == BROKEN:
            text = (
                f"{row.runner} is lossless and answered {row.differences} of {row.requests} requests unlike the "
                f"reference, {row.first_difference} first"
            )
            yield Notice(
                NoticeKind.BROKEN, row.workload, row.runner, text, "rounding does not explain it: do not use it"
            )


def _undecided(rows: Sequence[Row]) -> Iterator[Notice]:
    judged = [row for row in rows if row.verdict in ("non-inferior", "inferior", "undecided")]
    undecided = [row for row in judged if row.verdict == "undecided"]
    if not undecided:
        return
    told = [(row.needed_separate, row) for row in undecided if row.needed_separate is not None]
    if told:
        _, nearest = min(told, key=lambda entry: entry[0])
        assert nearest.needed_separate is not None
        needed = Needed(nearest.needed_requests, nearest.needed_separate)
        advice = f"{needed.count} would decide on {nearest.runner}"
    else:
        advice = "no number of requests would decide, if what was seen is the truth"
    text = f"undecided: {len(undecided)} of {len(judged)} runners"
    yield _notice(rows, NoticeKind.FEW_SAMPLES, text, advice)
