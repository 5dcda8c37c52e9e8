"""May a runner stand in for the reference? The one rule of proof: does accuracy fall by less than a margin?"""

from __future__ import annotations

from typing import Literal

from reports.statistics.changes import Changes

Verdict = Literal["non-inferior", "inferior", "undecided"]


def verdict_on(changes: Changes, margin: float, alpha: float) -> Verdict | None:
    """The verdict on a runner whose scores changed like that; None where fewer than two clusters were seen.

    Each of the two decisions is wrong with a probability of ``alpha`` at most, see ``Changes.bounds``.
    """
    if changes.clusters < 2:
        return None
    if changes.exceed(-margin, alpha):
        return "non-inferior"
    return "inferior" if changes.mirrored().exceed(margin, alpha) else "undecided"
