"""How often intervals under load hold the truth, in simulated queues whose percentiles are known.

    python docs/benchmarks/load_intervals.py [--runs 400] [--load 0.5] [--requests 1000]

Queues with one server, Poisson arrivals and exponential service (M/M/1): the time to the end of an answer is then
exponential, too. Beside it, how often an interval holds the median that takes requests for separate ones.
"""

from __future__ import annotations

import argparse

import numpy as np

from reports.statistics.clusters import Floats
from reports.statistics.intervals import median_interval
from reports.statistics.serial import percentile_interval

RANKS = (50, 90, 99)
SETTLE = 2000  # requests before those that count
ALPHA = 0.05


def queue(runs: int, count: int, load: float, seed: int) -> Floats:
    """Times of ``(runs, requests)``, in mean times of service."""
    draw = np.random.default_rng(seed)
    wait, found = np.zeros(runs), np.empty((runs, count))
    for place in range(-SETTLE, count):
        wait = np.maximum(0.0, wait - draw.exponential(1 / load, runs)) + draw.exponential(1.0, runs)
        if place >= 0:
            found[:, place] = wait
    return found


def main() -> None:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--load", type=float, default=0.5, help="requests a second / what the server can do")
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    names = [str(place) for place in range(options.requests)]
    times = queue(options.runs, options.requests, options.load, seed=0)
    for rank in RANKS:
        truth = -np.log(1 - rank / 100) / (1 - options.load)
        ends = [percentile_interval(mine, rank, names, ALPHA) for mine in times]
        held = np.mean([found is not None and found.low <= truth <= found.high for found in ends])
        bounded = np.mean([found is not None and np.isfinite(found.high) for found in ends])
        print(f"{rank} %: held in {100 * held:.1f} % of the runs, with an upper end in {100 * bounded:.1f} %")
    truth = np.log(2) / (1 - options.load)
    ends = [median_interval(mine, names, ALPHA) for mine in times]
    held = np.mean([found is not None and found.low <= truth <= found.high for found in ends])
    print(f"the median, were requests separate: held in {100 * held:.1f} % of the runs")


if __name__ == "__main__":
    main()
