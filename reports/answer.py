"""The first thing a reader wants to know, in a sentence for each workload: may reuse be switched on, and what for?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isfinite

from reports.runs import Run
from reports.statistics.formatting import interval, number
from reports.summary.risk_notices import promise_is_broken
from reports.summary.row import Row
from reports.summary.row_notices import points as in_points
from reports.sweep.pareto import Point
from reports.sweep.recommend import PROVEN, UNDECIDED, Recommendation, needed_in_words, separate_to_prove


class Word(StrEnum):
    """The answer in short."""

    YES = "Yes"
    NOT_YET = "Not yet"
    NO = "No"
    TIMES_ONLY = "Times only"


@dataclass(frozen=True)
class Answer:
    """What to do about one workload.

    Attributes:
        workload: its name; None for all of them together.
        speedup: what the named runner gains; None where nothing can be named.
        sentence: the answer in full.
        lossless: what is gained without any risk; empty where that is nothing, or what ``sentence`` says already.
    """

    workload: str | None
    word: Word
    runner: str | None
    speedup: float | None
    sentence: str
    lossless: str = ""


def answer(run: Run, workload: str) -> Answer:
    """The answer for one workload. A runner that broke its promise there is not named as one to switch on."""
    points = run.trade_off.of(workload)
    choice = run.trade_off.recommended[workload]
    usable = [point for point in points if not (point.is_reference or point.analysis_only)]
    candidates = [point for point in usable if not point.promise_broken]
    judged = [point for point in candidates if point.verdict is not None]
    best = next((point for point in candidates if point.runner == choice.runner), None)
    if best is not None:
        given = _yes(run, workload, best, choice)
    elif usable and not candidates:
        given = Answer(workload, Word.NO, None, None, "Nothing else was measured.")
    elif not judged:
        given = _times_only(workload, candidates)
    elif open_ones := [point for point in judged if point.verdict == UNDECIDED]:
        given = _not_yet(run, workload, open_ones)
    else:
        given = _no(run, workload, judged)
    broken = [row for row in run.rows_of(workload) if promise_is_broken(row)]
    return replace(given, sentence=" ".join([*map(_broken, broken), given.sentence])) if broken else given


def overall(run: Run) -> Answer | None:
    """The answer for all workloads at once; None where there is one only."""
    if len(run.workloads) < 2:
        return None
    choice = run.trade_off.recommended_overall
    if choice.runner is None:
        open_ones = any(point.verdict == UNDECIDED and not point.promise_broken for point in run.trade_off.points)
        judged = any(point.verdict is not None for point in run.trade_off.points)
        word = Word.NOT_YET if open_ones else Word.NO if judged else Word.TIMES_ONLY
        return Answer(None, word, None, None, f"No runner is proven on every workload ({choice.reason}).")
    sentence = f"{choice.runner} is proven on every workload and nowhere less than this much faster; {choice.reason}."
    return Answer(None, Word.YES, choice.runner, choice.ttft_speedup, sentence)


def _broken(row: Row) -> str:
    """What a runner promised and what it did."""
    return (
        f"{row.runner} broke its promise: it changed {number(row.risk_found, '.1f', 100)} % of the answers "
        f"{interval(row.risk_found_ci_low, row.risk_found_ci_high, '.1f', 100)}, "
        f"promised were {number(row.risk_promised, 'g', 100)} % at most."
    )


def _yes(run: Run, workload: str, best: Point, choice: Recommendation) -> Answer:
    sentence = (
        f"{best.runner} answers {_times(best)} as fast as {run.reference} and loses less than "
        f"{in_points(run.trade_off.margin)} of accuracy ({_change(best)}); {choice.reason}."
    )
    return Answer(workload, Word.YES, best.runner, _gain(best), sentence, _lossless(run, workload, best.runner))


def _not_yet(run: Run, workload: str, undecided: Sequence[Point]) -> Answer:
    margin, exact = run.trade_off.margin, _exact(run)
    risky = [point for point in undecided if point.runner not in exact]
    nearest = min(risky or undecided, key=lambda point: (separate_to_prove(point, margin), -(_gain(point) or 0.0)))
    needed = separate_to_prove(nearest, margin)
    faster = f"{nearest.runner} answers {_times(nearest)} as fast as {run.reference}"
    if needed == inf:
        sentence = f"{faster}, but the change of accuracy seen so far is beyond the margin ({_change(nearest)})."
    else:
        sentence = (
            f"{faster}, but {nearest.requests} requests are too few to say what that costs ({_change(nearest)}); "
            f"{needed_in_words(nearest)}."
        )
    return Answer(
        workload, Word.NOT_YET, nearest.runner, _gain(nearest), sentence, _lossless(run, workload, nearest.runner)
    )


def _no(run: Run, workload: str, judged: Sequence[Point]) -> Answer:
    proven = [point for point in judged if point.verdict in PROVEN]
    if proven:
        best = max(proven, key=lambda point: _gain(point) or 0.0)
        sentence = (
            f"What keeps the answers is not faster: {best.runner} answers {_times(best)} as fast as {run.reference}."
        )
        return Answer(workload, Word.NO, best.runner, _gain(best), sentence)
    best = max(judged, key=lambda point: point.accuracy_delta or -inf)
    every = "Every other" if any(point.promise_broken for point in run.trade_off.of(workload)) else "Every"
    sentence = (
        f"{every} runner loses {in_points(run.trade_off.margin)} of accuracy or more; the least loses {best.runner} "
        f"({_change(best)})."
    )
    return Answer(workload, Word.NO, None, None, sentence, _lossless(run, workload, None))


def _times_only(workload: str, candidates: Sequence[Point]) -> Answer:
    timed = [point for point in candidates if _gain(point) is not None]
    if not timed:
        return Answer(workload, Word.TIMES_ONLY, None, None, "Too little was measured to say anything.")
    best = max(timed, key=lambda point: _gain(point) or 0.0)
    sentence = f"No accuracy is known here. The fastest is {best.runner}, {_times(best)} as fast as the reference."
    return Answer(workload, Word.TIMES_ONLY, best.runner, _gain(best), sentence)


def _lossless(run: Run, workload: str, named: str | None) -> str:
    """What the fastest runner that changes no answer by construction gains, unless it is ``named`` already."""
    labels = _exact(run)
    candidates = [point for point in run.trade_off.of(workload) if point.runner in labels and not point.is_reference]
    gains = [point for point in candidates if (_gain(point) or 0.0) > 1]
    if not gains:
        return ""
    best = max(gains, key=lambda point: _gain(point) or 0.0)
    return "" if best.runner == named else f"Without any risk: {best.runner}, exact, {_times(best)} as fast."


def _exact(run: Run) -> set[str]:
    """The runners that change no answer by construction."""
    return {runner.label for runner in run.manifest.runners if runner.lossless}


def _gain(point: Point) -> float | None:
    """The speed-up, where there is one: times of 0, which no clock measures, have none."""
    speedup = point.ttft_speedup
    return speedup if speedup is not None and isfinite(speedup) else None


def _times(point: Point) -> str:
    gain = _gain(point)
    return "an unknown number of times" if gain is None else f"{gain:.2f} times"


def _change(point: Point) -> str:
    if point.accuracy_delta is None:
        return "change unknown"
    ends = interval(point.accuracy_delta_ci_low, point.accuracy_delta_ci_high, "+.1f", 100)
    return f"{point.accuracy_delta * 100:+.1f} points{f' {ends}' if ends else ''}"
