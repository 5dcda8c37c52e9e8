"""How often does ``vlcache gate`` err? Simulated runs of known truth, judged as a run folder would be.

    OMP_NUM_THREADS=1 python docs/benchmarks/gate_error_rates.py [--sets N] [--scenario NAME ...] [--seed S]

Every set is one run: a reference and two lossy runners on requests in clusters of one to three, which share media. The
gate's own policy is applied, so each run has four tests: accuracy within 2 points, and a warm speed-up of at least 1,
of both runners. Scores of a cluster change all together or each by itself, half of the changes either way. Times have
a cluster's and a request's part, both log-normal.

A scenario has as many clusters as ``reports.statistics.power`` asks for: what an unchanged runner needs to pass, or a
fall of 5 points to fail with a probability of 0.95. Printed are the exit codes, each with its 95 % interval
(Clopper-Pearson).
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from reports.gate.judge import judge_run
from reports.gate.policy import Policy
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.statistics.levels import DEFAULT_ALPHA, DEFAULT_MARGIN
from reports.statistics.power import Decision, Truth, requests_to_decide
from reports.summary.summarise import summarise
from runners.records import CacheStats, Record, Status, Timing, Warmth
from vlcache_cli.commands.gate import exit_code

REFERENCE, ARMS = "full", ("ours", "rival")
TESTS = 2 * len(ARMS)
SIZES = (1, 2, 3)
ACCURACY = 0.9
CLUSTER_SPREAD, REQUEST_SPREAD = 0.3, 0.2
HIT = CacheStats(3, 3, 3, 3, 120, 100, 0, 40, 40, 8, 1e8, 1e9, 0, 640.0)
NOTHING = CacheStats(3, 0, 0, 0, 120, 100, 0, 800, 800, 8, 1e9, 1e9, 0, None)
DOCUMENT: dict[str, Any] = {
    "config": {"reference": REFERENCE},
    "workloads": {"simulated": "0"},
    "model": {"name": "none", "device": "none", "dtype": "none"},
    "runners": [
        {"label": REFERENCE, "method": "full", "lossless": True},
        *({"label": label, "method": "vlcache", "lossless": False} for label in ARMS),
    ],
}
MANIFEST = Manifest.check(DOCUMENT, "simulation")

Rng = np.random.Generator
Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scenario:
    """What is true of the runners.

    Attributes:
        fall: loss of accuracy of the first runner.
        flips: share of scores of either runner that change besides.
        speedup: true median, of the first runner; the other's is 3.
        decision: what the number of clusters is meant for.
        expected: the exit code that is right.
        together: whether scores of a cluster change all together, and not each by itself.
    """

    fall: float
    flips: float
    decision: Decision
    expected: int
    speedup: float = 3.0
    together: bool = False

    @property
    def clusters(self) -> int:
        """Separate requests that the power report asks for."""
        within = self.decision is Decision.WITHIN
        truth = Truth.unchanged(self.flips) if within else Truth.fallen(0.05, self.flips)
        alpha = DEFAULT_ALPHA if within else DEFAULT_ALPHA / TESTS
        found = requests_to_decide(self.decision, truth, DEFAULT_MARGIN, alpha)
        assert found is not None
        return found


SCENARIOS = {
    "unchanged, no flips": Scenario(0, 0, Decision.WITHIN, 0),
    "unchanged, 2 % flips": Scenario(0, 0.02, Decision.WITHIN, 0),
    "unchanged, 2 % flips, together": Scenario(0, 0.02, Decision.WITHIN, 0, together=True),
    "falls by 5 points, no flips, together": Scenario(0.05, 0, Decision.BEYOND, 1, together=True),
    "falls by 5 points, 2 % flips": Scenario(0.05, 0.02, Decision.BEYOND, 1),
    "falls by 5 points, 2 % flips, together": Scenario(0.05, 0.02, Decision.BEYOND, 1, together=True),
    "falls by the margin, 2 % flips, together": Scenario(DEFAULT_MARGIN, 0.02, Decision.BEYOND, 3, together=True),
    "exactly as fast as the reference": Scenario(0, 0, Decision.WITHIN, 3, speedup=1.0),
}


def simulate(scenario: Scenario, rng: Rng) -> list[Record]:
    """One run: records of all runners."""
    sizes = _sizes(scenario.clusters, rng)
    cluster = np.repeat(np.arange(sizes.size), sizes)
    right = rng.random(cluster.size) < ACCURACY
    times = 100 * np.exp(_noise(cluster, rng))
    records = [
        _record(number, cluster[number], REFERENCE, right[number], times[number]) for number in range(len(right))
    ]
    for label in ARMS:
        first = label == ARMS[0]
        lost, gained = scenario.flips / 2 + scenario.fall * first, scenario.flips / 2
        score = _changed(right, cluster, lost, gained, scenario.together, rng)
        speedup = scenario.speedup if first else 3.0
        mine = times / speedup * np.exp(_noise(cluster, rng))
        records += [
            _record(number, cluster[number], label, score[number], mine[number]) for number in range(len(right))
        ]
    return records


def _sizes(worth: int, rng: Rng) -> Numbers:
    """Sizes of as many clusters as are worth that many separate requests at least."""
    sizes = rng.choice(SIZES, 2 * worth)
    worths = np.cumsum(sizes) ** 2 / np.cumsum(sizes**2)
    return np.asarray(sizes[: int(np.searchsorted(worths, worth)) + 1], dtype=np.int64)


def _noise(cluster: Numbers, rng: Rng) -> Floats:
    common = rng.normal(0, CLUSTER_SPREAD, cluster[-1] + 1)[cluster]
    return np.asarray(common + rng.normal(0, REQUEST_SPREAD, cluster.size), dtype=np.float64)


def _changed(
    right: NDArray[np.bool_], cluster: Numbers, lost: float, gained: float, together: bool, rng: Rng
) -> NDArray[np.bool_]:
    """Scores with these shares of all turned to wrong and to right."""
    draws = rng.random(cluster[-1] + 1)[cluster] if together else rng.random(cluster.size)
    turned_wrong = right & (draws < lost / ACCURACY)
    turned_right = ~right & (draws < gained / (1 - ACCURACY))
    return (right & ~turned_wrong) | turned_right


def _record(number: int, cluster: int, runner: str, right: bool, ttft_ms: float) -> Record:
    reference = runner == REFERENCE
    return Record(
        key=f"simulated/{number}/{runner}",
        workload="simulated",
        request=str(number),
        runner=runner,
        cluster_id=str(cluster),
        family="simulated",
        order=0,
        warmth=Warmth.WARM,
        recurring_media=3,
        content_share=None,
        status=Status.OK,
        error=None,
        answer="A" if right else "B",
        gold=("A",),
        token_ids=(0,),
        score=float(right),
        agrees=True,
        timing=Timing(float(ttft_ms), *[0.0] * 9),
        cache=NOTHING if reference else HIT,
    )


def main() -> None:
    """Print a line for each scenario."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--scenario", action="append", choices=SCENARIOS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{options.sets} sets of each, seed {options.seed}")
    print("| truth | separate requests | right | exit 0 % | exit 1 % | exit 3 % | s |")
    print(f"|{'---|' * 7}", flush=True)
    for name in options.scenario or SCENARIOS:
        scenario, start = SCENARIOS[name], perf_counter()
        codes = judge_many(scenario, options.sets, np.random.default_rng([options.seed, list(SCENARIOS).index(name)]))
        shares = " | ".join(_share(codes[code], options.sets) for code in (0, 1, 3))
        took = perf_counter() - start
        print(f"| {name} | {scenario.clusters} | {scenario.expected} | {shares} | {took:.0f} |", flush=True)


def judge_many(scenario: Scenario, sets: int, rng: Rng) -> Counter[int]:
    """How often each exit code came.

    From the summary a gate takes hits and counts, which are the same in every set: it is made of the first alone.
    """
    codes: Counter[int] = Counter()
    rows = summarise(Measurements(MANIFEST, simulate(scenario, rng)), DEFAULT_MARGIN, DEFAULT_ALPHA)
    for _ in range(sets):
        verdict = judge_run(
            Measurements(MANIFEST, simulate(scenario, rng)), rows, Policy(), None, DEFAULT_MARGIN, DEFAULT_ALPHA
        )
        codes[int(exit_code(verdict))] += 1
    return codes


def _share(count: int, total: int) -> str:
    ends = binomtest(count, total).proportion_ci(0.95)
    return f"{100 * count / total:.2f} [{100 * ends.low:.2f}, {100 * ends.high:.2f}]"


if __name__ == "__main__":
    main()
