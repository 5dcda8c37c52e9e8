"""How often does the rule of proof err, and what do clusters cost? By enumeration and by simulation.

    OMP_NUM_THREADS=1 python docs/benchmarks/proof_error_rates.py [--sets N] [--seed S]

A runner loses just the margin (2 points): it should be called non-inferior in at most alpha of all runs, and inferior
in at most alpha.

1. Separate requests, gains and losses of all sizes: the chance of either error is summed over all outcomes, without any
   drawing.
2. Requests in clusters of one, of ten, of one to eight and of Zipf's sizes, whose errors have nothing, much or
   everything in common, and that lose alike or the more the larger the cluster is: simulated.
3. What a run without a flip bounds the loss by, beside the number that Kish's effective size gives.
4. A run that follows up: a runner is judged by its first requests, or else asked on, whatever it loses. By enumeration.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from reports.statistics.changes import Changes
from reports.statistics.clusters import Sample
from reports.statistics.levels import BOUNDED, DEFAULT_ALPHA, DEFAULT_MARGIN, FIRST_LOOK, LAST_LOOK
from reports.statistics.tail import chance_negative

Rng = np.random.Generator
Floats = NDArray[np.float64]
Sizes = NDArray[np.int64]
Draw = Callable[[NDArray[np.int64], np.random.Generator], NDArray[np.float64]]

ALPHAS, REQUESTS = (0.05, 0.025, 0.01), (20, 50, 150, 300)
GAINS = (0.0, 0.005, 0.01, 0.03, 0.1, 0.2)
UNLIKELY = 1e-8
BLOCK = 100


def exact_errors(requests: int, gained: float, margin: float, alpha: float) -> tuple[float, float]:
    """The chances that a runner which loses the margin is called non-inferior, and inferior."""
    lost = gained + margin
    gains, losses = (
        np.arange(binom.ppf(UNLIKELY, requests, share), binom.isf(UNLIKELY, requests, share) + 2)
        for share in (gained, lost)
    )
    up, down = np.meshgrid(gains, losses, indexing="ij")
    same = requests - up - down
    chance = np.where(
        same < 0, 0, binom.pmf(up, requests, gained) * binom.pmf(down, requests - up, lost / (1 - gained))
    )
    same = np.maximum(same, 0)
    low = chance_negative((margin - 1, margin, margin + 1), np.stack((down + 1, same, up), axis=-1))
    high = chance_negative((1 - margin, -margin, -margin - 1), np.stack((down, same, up + 1), axis=-1))
    return float(chance[low < alpha].sum()), float(chance[high < alpha].sum())


def outcomes(requests: int, gained: float, lost: float) -> tuple[Floats, Floats, Floats]:
    """``(outcomes,)``: how many are gained and lost of so many separate requests, and how likely that is."""
    up, down = (part.ravel().astype(np.float64) for part in np.meshgrid(*[np.arange(requests + 1)] * 2, indexing="ij"))
    chance = np.where(
        up + down > requests, 0, binom.pmf(up, requests, gained) * binom.pmf(down, requests - up, lost / (1 - gained))
    )
    likely = chance > UNLIKELY
    return up[likely], down[likely], chance[likely]


def excluded(up: Floats, down: Floats, requests: int, change: float) -> tuple[Floats, Floats]:
    """By what chance at most the true change is no larger, and no smaller, than ``change``: see ``chances_at``."""
    same = requests - up - down
    low = chance_negative((-1 - change, -change, 1 - change), np.stack((down + 1, same, up), axis=-1))
    high = chance_negative((1 + change, change, change - 1), np.stack((down, same, up + 1), axis=-1))
    return low, high


def two_looks(gained: float, lost: float, alpha: float, first: int = 10, more: int = 49) -> tuple[float, float, float]:
    """The chances that the loss is said to be smaller than it is, that it is said to be larger, and to be asked on."""
    truth = gained - lost
    up, down, chance = outcomes(first, gained, lost)
    is_worse = excluded(up, down, first, -DEFAULT_MARGIN)[1] < alpha * FIRST_LOOK.high
    can_be_bounded = excluded(up, down, first + more, -BOUNDED)[0] < alpha * LAST_LOOK.low
    asked_on = ~is_worse & can_be_bounded
    low, high = excluded(up, down, first, truth)
    wrong = [
        float(chance[~asked_on & (low < alpha * FIRST_LOOK.low)].sum()),
        float(chance[~asked_on & (high < alpha * FIRST_LOOK.high)].sum()),
    ]
    ups, downs, chances = outcomes(more, gained, lost)
    for place in asked_on.nonzero()[0]:
        low, high = excluded(up[place] + ups, down[place] + downs, first + more, truth)
        wrong[0] += float(chance[place] * chances[low < alpha * LAST_LOOK.low].sum())
        wrong[1] += float(chance[place] * chances[high < alpha * LAST_LOOK.high].sum())
    return wrong[0], wrong[1], float(chance[asked_on].sum())


def ones(clusters: int, rng: Rng) -> Sizes:
    """Separate requests."""
    return np.ones(clusters, dtype=np.int64)


def tens(clusters: int, rng: Rng) -> Sizes:
    """Ten requests each."""
    return np.full(clusters, 10, dtype=np.int64)


def mixed(clusters: int, rng: Rng) -> Sizes:
    """One to eight requests."""
    return rng.integers(1, 9, clusters)


def zipf(clusters: int, rng: Rng) -> Sizes:
    """As often as Zipf's law has it, the most popular one about a tenth of all."""
    return np.ceil(clusters / rng.permutation(np.arange(1, clusters + 1)) / 4).astype(np.int64)


def by_themselves(sizes: Sizes, rng: Rng) -> Floats:
    """Every request has a draw of its own."""
    return rng.random(int(sizes.sum()))


def together(sizes: Sizes, rng: Rng) -> Floats:
    """One draw for all requests of a cluster."""
    return np.repeat(rng.random(sizes.size), sizes)


def nearly_together(sizes: Sizes, rng: Rng) -> Floats:
    """Nine of ten requests take the cluster's draw (intra-cluster correlation 0.8)."""
    return np.where(rng.random(int(sizes.sum())) < 0.9, together(sizes, rng), by_themselves(sizes, rng))


def simulate(
    sizes: Sizes, draw: Draw, gained: float, by_size: bool, sets: int, rng: Rng, margin: float = DEFAULT_MARGIN
) -> Floats:
    """Changes of score of a runner that loses the margin, ``(sets, requests)``.

    ``by_size``: a cluster is lost with a chance in proportion to its size.
    """
    weight = sizes * (sizes.sum() / (sizes**2).sum()) if by_size else np.ones(sizes.size)
    chances = np.repeat(np.minimum((gained + margin) * weight, 1 - gained), sizes)
    draws = np.stack([draw(sizes, rng) for _ in range(sets)])
    return (draws > 1 - gained).astype(np.float64) - (draws < chances)


def chances_at(values: Floats, sizes: Sizes, change: float) -> Floats:
    """``(2, sets)``: by what chance at most the true change is no larger, and no smaller, than ``change``.

    The rule of ``Changes.bounds``, which finds the change at which that chance is alpha; here for many sets at once.
    """
    totals = np.add.reduceat(values, np.cumsum(sizes) - sizes, axis=1)
    places = np.broadcast_to(sizes, totals.shape)
    kinds, which = np.unique(np.stack((places.ravel(), totals.ravel()), axis=1), axis=0, return_inverse=True)
    counts = np.zeros((len(values), len(kinds)))
    np.add.at(counts, (np.repeat(np.arange(len(values)), sizes.size), which.ravel()), 1)
    found = np.zeros((2, len(values)))
    for size, total in ((kinds[:, 0], kinds[:, 1]), (np.ones(len(kinds)), kinds[:, 1] / kinds[:, 0])):
        typical = (counts @ size / sizes.size)[0]  # the same in every set
        for side, sign in enumerate((1, -1)):
            weights = np.concatenate(((-typical * (1 + sign * change),), sign * (total - size * change)))
            for start in range(0, len(values), BLOCK):
                block = counts[start : start + BLOCK]
                chance = chance_negative(weights, np.concatenate((np.ones((len(block), 1)), block), axis=1))
                found[side, start : start + BLOCK] = np.maximum(found[side, start : start + BLOCK], chance)
    return found


def share(count: int, total: int) -> str:
    """In percent, with its 95 % interval."""
    ends = binomtest(count, total).proportion_ci(0.95)
    return f"{100 * count / total:.2f} [{100 * ends.low:.2f}, {100 * ends.high:.2f}]"


def main() -> None:
    """Print the four tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| alpha, % | largest false ok, % | at | largest false worse, % | at |\n|---|---|---|---|---|")
    for alpha in ALPHAS:
        found = {(n, gain): exact_errors(n, gain, DEFAULT_MARGIN, alpha) for n in REQUESTS for gain in GAINS}
        worst = [max((errors[side], place) for place, errors in found.items()) for side in (0, 1)]
        cells = [f"{100 * error:.2f} | {place[0]} requests, {100 * place[1]:g} % gained" for error, place in worst]
        print(f"| {100 * alpha:g} | {' | '.join(cells)} |", flush=True)
    print(f"\n{options.sets} sets, alpha {100 * DEFAULT_ALPHA:g} %\n")
    print(f"| clusters | sizes | errors | gained, % | losing | false ok, % | false worse, % |\n|{'---|' * 7}")
    for clusters, sizing, draw, gained, by_size in CELLS:
        rng = np.random.default_rng([options.seed, clusters, int(1000 * gained)])
        sizes = sizing(clusters, rng)
        values = simulate(sizes, draw, gained, by_size, options.sets, rng)
        wrong = (chances_at(values, sizes, -DEFAULT_MARGIN) < DEFAULT_ALPHA).sum(axis=1)
        cells = [str(clusters), sizing.__name__, draw.__name__.replace("_", " "), f"{100 * gained:g}"]
        cells += ["by size" if by_size else "alike", *(share(count, options.sets) for count in wrong)]
        print(f"| {' | '.join(cells)} |", flush=True)
    print("\n| clusters | sizes | requests | lost at most | by Kish's size | (1 - m) ** clusters | worth |")
    print(f"|{'---|' * 7}")
    for clusters in (32, 150, 600):
        for sizing in (ones, tens, mixed, zipf):
            sizes = sizing(clusters, np.random.default_rng(options.seed))
            names = np.repeat(np.arange(clusters).astype(str), sizes).tolist()
            changes, kish = Changes.of(np.zeros(len(names)), names), Sample.of(np.zeros(len(names)), names).fewest
            low = -changes.bounds(DEFAULT_ALPHA).low
            others = [100 * (1 - np.exp(log(DEFAULT_ALPHA) / number)) for number in (kish, clusters)]
            cells = [
                str(clusters),
                sizing.__name__,
                str(len(names)),
                f"{100 * low:.2f}",
                *(f"{other:.2f}" for other in others),
            ]
            print(f"| {' | '.join(cells)} | {changes.worth(DEFAULT_ALPHA):.0f} |")
    print("\n| gained, % | lost, % | loss said too small, % | too large, % | asked on, % |\n|---|---|---|---|---|")
    for gained in (0.0, 0.02):
        for lost in (0.005, 0.02, 0.0499, 0.1, 0.25, 0.5, 0.9):
            cells = [f"{100 * value:.2f}" for value in two_looks(gained, lost, DEFAULT_ALPHA)]
            print(f"| {100 * gained:g} | {100 * lost:g} | {' | '.join(cells)} |", flush=True)


CELLS = [
    (30, ones, by_themselves, 0.0, False),
    (300, ones, by_themselves, 0.01, False),
    *(
        (clusters, tens, draw, gain, False)
        for clusters in (60, 300)
        for draw in (by_themselves, nearly_together, together)
        for gain in (0.0, 0.01)
    ),
    *(
        (200, mixed, draw, gain, by_size)
        for draw in (by_themselves, together)
        for gain in (0.0, 0.05)
        for by_size in (False, True)
    ),
    *(
        (clusters, zipf, draw, 0.0, by_size)
        for clusters in (60, 200, 600)
        for draw in (by_themselves, together)
        for by_size in (False, True)
    ),
]


if __name__ == "__main__":
    main()
