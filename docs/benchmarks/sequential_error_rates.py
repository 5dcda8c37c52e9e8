"""How often does ``--until-decided`` err, and how soon does it decide? Simulated runs, looked at after every request.

    OMP_NUM_THREADS=1 python docs/benchmarks/sequential_error_rates.py [--sets N] [--most N] [--seed S]

Requests are separate. A runner that loses just the margin must be decided wrongly, either way and at any time, in at
most alpha of all runs; beside it what the rule of a fixed number of requests would do, were it looked at 60 times.
"""

from __future__ import annotations

import argparse
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from reports.statistics.levels import DEFAULT_ALPHA, DEFAULT_MARGIN
from reports.statistics.power import Truth, requests_to_decide
from reports.statistics.sequential import log_capital
from reports.statistics.tail import chance_negative

PEEKS = np.unique(np.geomspace(2, 2000, 60).astype(int))
MARGINS = (0.02, 0.05)
GAINS = (0.0, 0.01, 0.1)
TRUTHS = (Truth(0, 0), Truth(0, 0.005), Truth(0.005, 0.005), Truth(0, 0.1), Truth(0, 0.2), Truth(0.02, 0.46))


def first_decision(changes: NDArray[np.float64], margin: float, alpha: float) -> tuple[int | None, int | None]:
    """After how many requests the runner is called non-inferior, and inferior; None for never."""
    found = []
    for values, mean in ((changes, -margin), (-changes, margin)):
        won = np.nonzero(log_capital(values, mean) >= log(1 / alpha))[0]
        found.append(int(won[0]) + 1 if won.size else None)
    return found[0], found[1]


def draw(truth: Truth, requests: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Changes of separate requests."""
    draws = rng.random(requests)
    return (draws > 1 - truth.gained).astype(np.float64) - (draws < truth.lost)


def peeked(changes: NDArray[np.float64], margin: float, alpha: float) -> tuple[bool, bool]:
    """Whether the rule of a fixed number calls the runner non-inferior, and inferior, at any of ``PEEKS``."""
    lost, gained = (np.cumsum(changes == sign)[PEEKS[changes.size >= PEEKS] - 1] for sign in (-1, 1))
    same = PEEKS[changes.size >= PEEKS] - lost - gained
    low = chance_negative((margin - 1, margin, margin + 1), np.stack((lost + 1, same, gained), axis=-1))
    high = chance_negative((1 - margin, -margin, -margin - 1), np.stack((lost, same, gained + 1), axis=-1))
    return bool((low < alpha).any()), bool((high < alpha).any())


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print(
        "| loses the margin, gains besides, % | false ok, % | false worse, % | fixed rule, peeked: ok, % | worse, % |"
    )
    print(f"|{'---|' * 5}")
    for gained in GAINS:
        truth = Truth(gained, gained + DEFAULT_MARGIN)
        runs = [draw(truth, options.most, rng) for _ in range(options.sets)]
        sequential = [first_decision(run, DEFAULT_MARGIN, DEFAULT_ALPHA) for run in runs]
        fixed = [peeked(run, DEFAULT_MARGIN, DEFAULT_ALPHA) for run in runs]
        wrong = [sum(found[side] is not None for found in sequential) for side in (0, 1)]
        wrong += [sum(found[side] for found in fixed) for side in (0, 1)]
        print(f"| {100 * gained:g} | {' | '.join(share(count, options.sets) for count in wrong)} |", flush=True)
    print(
        "\n| gained, % | lost, % | margin, points | fixed number, power 95 % | median of requests | 95th percentile "
        "| undecided, % |"
    )
    print(f"|{'---|' * 7}")
    for truth in TRUTHS:
        for margin in MARGINS:
            decision = truth.decision(margin)
            assert decision is not None
            times = []
            for _ in range(options.sets // 4):
                ended = [time for time in first_decision(draw(truth, options.most, rng), margin, DEFAULT_ALPHA) if time]
                times.append(min(ended, default=options.most + 1))
            middle, late = np.quantile(times, (0.5, 0.95), method="higher")
            left = 100 * np.mean(np.array(times) > options.most)
            needed = requests_to_decide(decision, truth, margin, DEFAULT_ALPHA)
            cells = [f"{100 * truth.gained:g}", f"{100 * truth.lost:g}", f"{100 * margin:g}", needed, middle, late]
            print(f"| {' | '.join(map(str, cells))} | {left:.1f} |", flush=True)


def share(count: int, total: int) -> str:
    """In percent, with its 95 % interval."""
    ends = binomtest(count, total).proportion_ci(0.95)
    return f"{100 * count / total:.2f} [{100 * ends.low:.2f}, {100 * ends.high:.2f}]"


if __name__ == "__main__":
    main()
