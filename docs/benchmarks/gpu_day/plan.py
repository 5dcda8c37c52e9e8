"""Which parts fit in the time that is left: in the order of their worth, every one that does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpu_day.ledger import Ledger
from gpu_day.parts import Part


@dataclass(frozen=True)
class Planned:
    """A part, the seconds that it has, and how these are known; 0 and why where it is left out."""

    part: Part
    seconds: float
    reason: str

    @property
    def runs(self) -> bool:
        """Whether it is to run."""
        return self.seconds > 0


def plan(parts: Iterable[Part], ledger: Ledger, left_s: float, retry: bool = False) -> list[Planned]:
    """What becomes of every part in ``left_s`` seconds, if each takes as long as expected."""
    planned = []
    for part in parts:
        item = decide(part, ledger, left_s, retry)
        left_s -= item.seconds
        planned.append(item)
    return planned


def decide(part: Part, ledger: Ledger, left_s: float, retry: bool = False) -> Planned:
    """Whether a part is to run in the time that is left."""
    result = ledger.result(part)
    if result is not None and not ledger.is_open(part, retry):
        return Planned(part, 0, f"done: {result.ended}")
    cost, is_measured = ledger.cost(part)
    source = "measured" if is_measured else "estimated"
    if cost <= left_s:
        return Planned(part, cost, source)
    if part.least_s is not None and min(part.least_s, cost) <= left_s:
        return Planned(part, left_s, f"as much as fits, of {cost:.0f} s {source}")
    return Planned(part, 0, f"left out: {cost:.0f} s {source}, {max(left_s, 0):.0f} s left")


def describe(planned: Sequence[Planned], minutes: float) -> str:
    """The plan for people, as a Markdown table."""
    heads = f"# Plan for {minutes:g} minutes\n\n| part | shows | seconds | |\n| --- | --- | --- | --- |\n"
    lines = (
        f"| {item.part.name} | {item.part.shows} | {f'{item.seconds:.0f}' if item.runs else '-'} | {item.reason} |\n"
        for item in planned
    )
    return heads + "".join(lines)
