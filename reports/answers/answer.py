"""Answer for a workload: what comes free, what reuse gains and loses at most, and which runners are unsafe.

A runner is *shown safe* where it is non-inferior at the run's margin, or at least bounded: it loses less than
``BOUNDED`` for all that was seen. Only such a runner is named as a gain, and only one that loses answers on no other
workload of the run and kept its promises: who switches it on does not choose which requests come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, floor, isfinite

from reports.run.manifest import Manifest
from reports.statistics.formatting import interval, number
from reports.statistics.levels import BOUNDED
from reports.summary.risk_notices import promise_is_broken
from reports.summary.row import Row
from reports.summary.row_notices import points

ROUNDING = 1e-9


class Word(StrEnum):
    """The answer in short."""

    YES = "Yes"
    BOUNDED = "Within bounds"
    NOT_YET = "Not yet"
    NO = "No"
    TIMES_ONLY = "Times only"


@dataclass(frozen=True)
class Gain:
    """What a runner gains on a workload, and what that may cost.

    Attributes:
        speedup: over the reference, requests all of whose media were sent before.
        over_lossless: over the fastest lossless runner, same requests.
        loss_at_most: of accuracy, 0 to 1; None for a lossless runner, and where no answer is judged.
        requests_needed: like these, to bring the loss below the margin; None where it is, or where no number would do.
        separate_needed: the same of requests that share no media.
    """

    runner: str
    speedup: float
    over_lossless: float | None = None
    loss_at_most: float | None = None
    requests_needed: int | None = None
    separate_needed: int | None = None


@dataclass(frozen=True)
class Loss:
    """Accuracy that a runner surely loses on a workload, 0 to 1."""

    runner: str
    at_least: float


@dataclass(frozen=True)
class Answer:
    """What to do about one workload.

    Attributes:
        free: the fastest lossless runner, if it is faster than the reference.
        reuse: the fastest runner that may change answers and was shown safe; None where none was.
        nearest: where none was, the one of the others whose loss is bounded best; the fastest where no answer can be
            judged.
        in_vain: where none was faster than the reference, the fastest that was shown safe.
        unsafe: runners that surely lose answers, the margin or more.
        sentence: the answer in full.
    """

    workload: str
    word: Word
    free: Gain | None
    reuse: Gain | None
    nearest: Gain | None
    in_vain: Gain | None
    unsafe: tuple[Loss, ...]
    sentence: str

    @property
    def named(self) -> Gain | None:
        """What is to be switched on."""
        return self.reuse if self.reuse is not None and self.word in (Word.YES, Word.BOUNDED) else self.free


@dataclass(frozen=True)
class Overall:
    """What to do about all workloads of a run at once.

    Attributes:
        gain: of the runner shown safe on all of them whose lowest speed-up is highest; that, and its largest loss.
    """

    word: Word
    gain: Gain | None
    sentence: str

    @property
    def named(self) -> Gain | None:
        """What is to be switched on."""
        return self.gain


def find_answers(rows: Sequence[Row], manifest: Manifest) -> list[Answer]:
    """Answer for each workload that the rows of a run are about, in their order."""
    losing = _losing(rows)
    workloads = dict.fromkeys(row.workload for row in rows)
    return [_answer([row for row in rows if row.workload == workload], manifest, losing) for workload in workloads]


def find_overall(answers: Sequence[Answer], rows: Sequence[Row], manifest: Manifest) -> Overall | None:
    """Answer for all workloads together; None of one, whose answer says it all."""
    if len(answers) < 2:
        return None
    losing = _losing(rows)
    lossy = {runner.label for runner in manifest.runners if not (runner.lossless or runner.analysis_only)}
    of_runner = {label: [row for row in rows if row.runner == label] for label in lossy - losing}
    safe = {label: mine for label, mine in of_runner.items() if len(mine) == len(answers) and _is_safe_in_all(mine)}
    gains = [gain for gain in map(_lowest, safe.values()) if gain is not None and gain.speedup > 1]
    if gains:
        best = max(gains, key=lambda gain: gain.speedup)
        word = Word.YES if all(row.verdict == "non-inferior" for row in safe[best.runner]) else Word.BOUNDED
        where = "on each" if all(map(_is_safe, safe[best.runner])) else "over all of them together"
        loss = f"loses less than {in_points(best.loss_at_most or 0.0, up=True)} {where}"
        return Overall(word, best, f"{best.runner} is at least {times(best.speedup)} on every workload and {loss}.")
    words = {answer.word for answer in answers}
    if words == {Word.TIMES_ONLY}:
        return Overall(Word.TIMES_ONLY, None, "No answer can be judged, so no reuse is shown safe.")
    word = Word.NOT_YET if lossy - losing and words & {Word.NOT_YET, Word.YES, Word.BOUNDED} else Word.NO
    return Overall(word, None, "No runner that may change answers is shown safe on every workload.")


def _losing(rows: Sequence[Row]) -> set[str]:
    """Find the runners that surely lose answers or broke a promise on some workload of the run."""
    return {row.runner for row in rows if row.verdict == "inferior" or promise_is_broken(row)}


def _is_safe(row: Row) -> bool:
    return row.verdict == "non-inferior" or (row.loss_at_most is not None and row.loss_at_most < BOUNDED)


def _is_safe_in_all(rows: Sequence[Row]) -> bool:
    """Whether a runner is shown safe on each workload, or over all of them together."""
    pooled = rows[0].pooled_loss_at_most
    return all(map(_is_safe, rows)) or (pooled is not None and pooled < BOUNDED)


def _lowest(rows: Sequence[Row]) -> Gain | None:
    """The lowest speed-up of a runner and its loss: the largest on any workload, or that over all together.

    None where it was not timed everywhere.
    """
    gains = [_gain(row) for row in rows]
    timed = [gain for gain in gains if gain is not None]
    if len(timed) < len(gains):
        return None
    lowest = min(timed, key=lambda gain: gain.speedup)
    largest = max(gain.loss_at_most or 0.0 for gain in timed)
    return replace(lowest, loss_at_most=largest if all(map(_is_safe, rows)) else rows[0].pooled_loss_at_most)


def _answer(rows: Sequence[Row], manifest: Manifest, losing: set[str]) -> Answer:
    """Answer for the workload of ``rows``.

    Args:
        losing: runners that lose answers or broke a promise on some workload of the run.
    """
    known = {runner.label: runner for runner in manifest.runners}
    others = [row for row in rows if row.runner != manifest.reference and not known[row.runner].analysis_only]
    exact = [row for row in others if known[row.runner].lossless and row.verdict != "broken"]
    lossy = [row for row in others if not known[row.runner].lossless]
    honest = [row for row in lossy if row.runner not in losing and row.loss_at_most is not None]
    proven = [row for row in honest if row.verdict == "non-inferior"]
    bounded = [row for row in honest if _is_safe(row)]
    free, reuse = _fastest(exact), _fastest(proven) or _fastest(bounded)
    nearest = in_vain = None
    if reuse is None:
        in_vain = _fastest(bounded, beyond=0)
        open_ones = [row for row in honest if not _is_safe(row)]
        nearest = _gain(min(open_ones, key=_by_loss)) if open_ones else None
    unjudged = bool(lossy) and all(row.loss_at_most is None for row in lossy)
    if unjudged:
        nearest = _fastest(lossy)
    unsafe = tuple(Loss(row.runner, row.loss_at_least or 0.0) for row in lossy if row.verdict == "inferior")
    found = Answer(
        workload=rows[0].workload,
        word=Word.NO,
        free=free,
        reuse=reuse,
        nearest=nearest,
        in_vain=in_vain,
        unsafe=unsafe,
        sentence="",
    )
    word = Word.TIMES_ONLY if unjudged else _word(found, bool(lossy), {row.runner for row in proven})
    found = replace(found, word=word)
    broken = [_broken_promise(row) for row in lossy if promise_is_broken(row)]
    return replace(found, sentence=" ".join([*broken, _sentence(found, rows[0], manifest.reference)]))


def _by_loss(row: Row) -> tuple[float, float]:
    """Order runners by what they may lose, and those that may lose the same by their speed."""
    return row.loss_at_most or 0.0, -(row.ttft_speedup or 0.0)


def _word(answer: Answer, any_lossy: bool, proven: set[str]) -> Word:
    if answer.reuse is not None:
        if answer.free is not None and answer.reuse.speedup <= answer.free.speedup:
            return Word.NO
        return Word.YES if answer.reuse.runner in proven else Word.BOUNDED
    if answer.nearest is not None:
        return Word.NOT_YET
    return Word.NO if any_lossy or answer.free is None else Word.YES


def _sentence(answer: Answer, row: Row, reference: str) -> str:
    """Say what to switch on, what that gains and may cost, and what is unsafe."""
    parts = [_of_reuse(answer, row, reference)]
    told_already = answer.word is (Word.YES if answer.reuse is None else Word.NO)
    if answer.free is not None and not told_already:
        parts.append(f"Free of any risk: {answer.free.runner}, {times(answer.free.speedup)}.")
    if answer.unsafe:
        told = ", ".join(f"{loss.runner} at least {in_points(loss.at_least)}" for loss in answer.unsafe)
        parts.append(f"Unsafe here: {told} of accuracy lost.")
    return " ".join(filter(None, parts))


def _broken_promise(row: Row) -> str:
    """Say what a runner promised and what it did."""
    return (
        f"{row.runner} broke its promise: it changed {number(row.risk_found, '.1f', 100)} % of the answers "
        f"{interval(row.risk_found_ci_low, row.risk_found_ci_high, '.1f', 100)}, "
        f"promised were {number(row.risk_promised, 'g', 100)} % at most."
    )


def _of_reuse(answer: Answer, row: Row, reference: str) -> str:
    """Say it of the runner that is named, or why none is."""
    gain, free = answer.reuse, answer.free
    if answer.word is Word.TIMES_ONLY:
        unjudged, fastest = "No answer can be judged here, so no reuse is shown safe.", answer.nearest
        return f"{unjudged} The fastest is {fastest.runner}, {times(fastest.speedup)}." if fastest else unjudged
    if gain is None:
        if answer.nearest is not None:
            nearest = answer.nearest
            return f"No reuse is shown safe yet: {nearest.runner} {may_lose(nearest, row.margin)}."
        if answer.in_vain is not None:
            return f"What keeps the answers is {no_faster(answer.in_vain, reference)}."
        if answer.word is Word.YES and free is not None:
            return f"{free.runner} changes no answer and is {times(free.speedup)} as {reference}."
        return "Every runner that may change answers loses some, here or on another workload of this run."
    if answer.word is Word.NO and free is not None:
        slower = f"What keeps the answers is no faster than {free.runner}, which changes none"
        return f"{slower}: {gain.runner}, {times(gain.speedup)} as {reference}."
    return f"{gain.runner} is {times(gain.speedup)} as {reference} and {_loses('loses less than', gain, row.margin)}."


def no_faster(gain: Gain, reference: str) -> str:
    """Say how fast a runner is that is shown safe and gains nothing."""
    return f"no faster than {reference}: {gain.runner}, {times(gain.speedup)}"


def may_lose(gain: Gain, margin: float) -> str:
    """Say how much a runner that is not shown safe may lose, and how many requests would show what it does."""
    return _loses("may lose up to", gain, margin)


def _loses(verb: str, gain: Gain, margin: float) -> str:
    """Say how much accuracy a runner may lose, and how many requests would bring that below the margin."""
    loses = f"{verb} {in_points(gain.loss_at_most or 0.0, up=True)} of accuracy"
    if gain.separate_needed is None:
        return loses
    like, separate = gain.requests_needed, gain.separate_needed
    kind = f"{separate:,} requests that share no media" if like is None else f"{like:,} requests like these"
    return f"{loses}; about {kind} would show if it is {points(margin)}"


def times(speedup: float) -> str:
    """A speed-up in words."""
    return f"{speedup:.1f} times as fast"


def in_points(share: float, up: bool = False) -> str:
    """A share of accuracy in points: rounded down to a tenth, which a loss of at least that reaches, or up."""
    tenths = ceil(1000 * share - ROUNDING) if up else floor(1000 * share + ROUNDING)
    return f"{tenths / 10:g} points"


def _fastest(rows: Sequence[Row], beyond: float = 1) -> Gain | None:
    """The fastest of these runners that is faster than the reference, or than so many times as fast."""
    gains = [gain for gain in map(_gain, rows) if gain is not None and gain.speedup > beyond]
    return max(gains, key=lambda gain: gain.speedup, default=None)


def _gain(row: Row) -> Gain | None:
    """What a runner gains; None where it was not timed: times of 0, which no clock measures, have no speed-up."""
    if row.ttft_speedup is None or not isfinite(row.ttft_speedup):
        return None
    return Gain(
        runner=row.runner,
        speedup=row.ttft_speedup,
        over_lossless=row.ttft_speedup_vs_lossless,
        loss_at_most=row.loss_at_most,
        requests_needed=row.needed_requests,
        separate_needed=row.needed_separate,
    )
