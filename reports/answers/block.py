"""Compose the answer of a run for a reader in a hurry: a short table, who is unsafe, and what to run next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from reports.answers.answer import (
    Answer,
    Gain,
    Overall,
    Word,
    find_answers,
    find_overall,
    in_points,
    may_lose,
    no_faster,
)
from reports.run.manifest import Manifest
from reports.statistics.formatting import UNDEFINED
from reports.summary.notice import FACTS, Notice
from reports.summary.row import Row
from reports.summary.row_notices import points
from reports.tables.table import Note, Table, TableColumn
from workloads.registry import DEFAULT_WORKLOADS

WIDTH = 80
MOST_UNSAFE = 5
LABEL, NAME = 26, 14  # characters, of the screen's columns
BRACKETED = TableColumn("best reuse (in brackets: not shown safe)", "best reuse\n(not shown safe)", max_width=LABEL)
STYLES = {Word.YES: "green", Word.BOUNDED: "green", Word.NOT_YET: "yellow", Word.NO: "red", Word.TIMES_ONLY: ""}


@dataclass(frozen=True)
class Block:
    """The answer of a run.

    Attributes:
        table: one row for each workload.
        notes: in sentences: who is exact, who is unsafe, what else was noticed.
        commands: what to run next, by what it is for.
    """

    table: Table
    notes: Sequence[Note]
    commands: Mapping[str, str]


def compose(rows: Sequence[Row], manifest: Manifest, notices: Sequence[Notice], folder: str) -> Block:
    """Compose the answer of one run.

    Args:
        rows: the summary.
        folder: of the run, as commands name it.
    """
    answers = find_answers(rows, manifest)
    notes = [
        *_everywhere(find_overall(answers, rows, manifest)),
        *_unsafe(answers),
        *_unproven(answers, rows[0].margin),
        *_in_vain(answers, manifest.reference),
        *_exact(rows),
        *_more(answers, rows[0].margin),
        *_warnings(notices),
    ]
    return Block(_table(answers, rows, manifest.reference), notes, dict(_commands(answers, manifest, folder)))


def _table(answers: Sequence[Answer], rows: Sequence[Row], reference: str) -> Table:
    first, sure = rows[0], f"{100 * (1 - rows[0].alpha):g} %"
    bracketed = any(answer.reuse is None and answer.nearest is not None for answer in answers)
    return Table(
        title="What reuse gains",
        about=f"{_asked(rows, reference)}, {first.model} on {first.device} in {first.dtype}",
        columns=[
            TableColumn("workload", max_width=NAME),
            TableColumn("free: changes no answer", "free: changes\nno answer", max_width=LABEL),
            BRACKETED if bracketed else TableColumn("best reuse", "best\nreuse", max_width=LABEL),
            TableColumn("over free", "over\nfree", right=True, wrap=False),
            TableColumn(f"loses less than, at {sure}", f"loses less\nthan ({sure})", right=True, wrap=False),
        ],
        rows=[_cells(answer) for answer in answers],
        styles={(place, 2): STYLES[answer.word] for place, answer in enumerate(answers)},
    )


def _asked(rows: Sequence[Row], reference: str) -> str:
    """Count the requests, and those that every runner was asked; those that follow up are asked of few."""
    asked: dict[str, list[int]] = {}
    for row in [row for row in rows if row.runner != reference] or rows:
        asked.setdefault(row.workload, []).append(row.requests)
    most, fewest = (sum(map(count, asked.values())) for count in (max, min))
    return f"{most:,} requests" if most == fewest else f"{most:,} requests, {fewest:,} of all runners"


def _cells(answer: Answer) -> list[str]:
    reuse = answer.reuse or answer.nearest
    shown = "none" if reuse is None else _labelled(reuse) if answer.reuse is not None else f"({_labelled(reuse)})"
    over = UNDEFINED if reuse is None or reuse.over_lossless is None else f"{reuse.over_lossless:.1f}x"
    loss = UNDEFINED if reuse is None or reuse.loss_at_most is None else in_points(reuse.loss_at_most, up=True)
    return [answer.workload, "none" if answer.free is None else _labelled(answer.free), shown, over, loss]


def _labelled(gain: Gain) -> str:
    return f"{gain.runner} {gain.speedup:.1f}x"


def _in_vain(answers: Sequence[Answer], reference: str) -> Iterator[Note]:
    """Say where what is shown safe gains nothing."""
    for answer in answers:
        if answer.in_vain is not None and answer.nearest is None:
            yield Note(f"{answer.workload}: what keeps the answers is {no_faster(answer.in_vain, reference)}.")


def _exact(rows: Sequence[Row]) -> Iterator[Note]:
    """Tell which lossless runners answered as the reference, and which did not."""
    exact = dict.fromkeys(row.runner for row in rows if row.verdict == "exact")
    broken = {row.runner: row.workload for row in rows if row.verdict == "broken"}
    if kept := [runner for runner in exact if runner not in broken]:
        yield Note(f"Exact, every answer checked: {', '.join(kept)}.")
    for runner, workload in broken.items():
        yield Note(
            f"{runner} is lossless and yet answers otherwise on {workload}: a fault of it or its setting.", "red"
        )


def _everywhere(overall: Overall | None) -> Iterator[Note]:
    """Say what holds on all workloads."""
    if overall is not None:
        yield Note(overall.sentence, "bold" if overall.gain else "")


def _unsafe(answers: Sequence[Answer]) -> Iterator[Note]:
    """Name every runner that surely loses answers, with where and how much."""
    found: dict[str, list[str]] = {}
    for answer in answers:
        for loss in answer.unsafe:
            found.setdefault(loss.runner, []).append(f"{in_points(loss.at_least)} on {answer.workload}")
    told = [f"{runner} ({', '.join(losses)})" for runner, losses in [*found.items()][:MOST_UNSAFE]]
    if rest := [*found][MOST_UNSAFE:]:
        told.append(f"{len(rest)} more runners: see every column")
    if told:
        yield Note(f"Unsafe, losing at least: {', '.join(told)}.", "red")


def _unproven(answers: Sequence[Answer], margin: float) -> Iterator[Note]:
    """Say of workloads on which nothing is shown safe what is nearest."""
    open_ones = [answer for answer in answers if answer.word is Word.NOT_YET and answer.nearest is not None]
    if len(open_ones) == 1 and open_ones[0].nearest is not None:
        nearest = open_ones[0].nearest
        yield Note(f"{open_ones[0].workload}: {nearest.runner} {may_lose(nearest, margin)}.", "yellow")
    elif open_ones:
        needed = max(answer.nearest.separate_needed or 0 for answer in open_ones if answer.nearest)
        told = f"Not shown safe by itself: {', '.join(answer.workload for answer in open_ones)}"
        more = (
            f"; {needed:,} requests that share no media would show less than {points(margin)}, each" if needed else ""
        )
        yield Note(f"{told}{more}.", "yellow")


def _more(answers: Sequence[Answer], margin: float) -> Iterator[Note]:
    """Say how many requests would bring the bounds of what is shown safe below the margin."""
    needed = [answer.reuse.separate_needed for answer in answers if answer.reuse and answer.reuse.separate_needed]
    if needed:
        yield Note(f"About {max(needed):,} that share no media, of each, would show less than {points(margin)}.")


def _warnings(notices: Sequence[Notice]) -> Iterator[Note]:
    """Repeat what is red, tell what numbers are, and count what is yellow."""
    for notice in notices:
        if notice.kind.style == "red":
            yield Note(f"{notice.workload}: {notice}.", "red")
        elif notice.kind in FACTS:
            yield Note(f"{notice.workload}: {notice.text}.")
    if others := [notice for notice in notices if notice.kind.style == "yellow"]:
        kinds = ", ".join(dict.fromkeys(notice.kind.value.replace("-", " ") for notice in others))
        counted = "1 warning" if len(others) == 1 else f"{len(others)} warnings"
        yield Note(f"{counted} ({kinds}): see every column.", "yellow")


def _commands(answers: Sequence[Answer], manifest: Manifest, folder: str) -> Iterator[tuple[str, str]]:
    yield "every column", f"vlcache report {quote(folder)}  # as a page: --format html"
    open_ones = [answer for answer in answers if (gain := answer.reuse or answer.nearest) and gain.separate_needed]
    if open_ones:
        runners = dict.fromkeys(gain.runner for answer in open_ones if (gain := answer.reuse or answer.nearest))
        names = [answer.workload for answer in open_ones]
        workloads = "" if tuple(names) == DEFAULT_WORKLOADS else " " + _flags("--workload", names)
        model = manifest.config.get("model", "builtin")
        flags = "" if model == "builtin" else f" --model {quote(str(model))}"
        profile = manifest.config.get("profile")
        flags += "" if profile is None else f" --profile {quote(str(profile))}"
        flags += "" if manifest.reference == "full" else f" --reference {quote(manifest.reference)}"
        asked = _flags("--runner", [manifest.spec(label) for label in (manifest.reference, *runners)])
        yield "next", f"vlcache bench --until-decided{flags}{workloads} {asked}"
    else:
        yield "next", "vlcache bench --model YOURS --workload YOURS.jsonl"


def _flags(flag: str, names: Sequence[str]) -> str:
    """A flag for these names: once for plain ones, else once for each."""
    if all(name.replace("-", "").isalnum() for name in names):
        return f"{flag} {','.join(names)}"
    return " ".join(f"{flag} {quote(name)}" for name in names)
