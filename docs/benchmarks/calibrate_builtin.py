"""Calibrate the risk of the built-in model, as it ships: on streams of two kinds, which one `vlcache profile` has not.

    python docs/benchmarks/calibrate_builtin.py FILE

In streams of even popularity most requests of `binding` and `multi-hop` bring a new picture beside reused ones; in
those of popularity own every request that comes back has all its media stored. A threshold has to hold for both.
Writes the profile of the model with its new risk model to FILE, and prints what every promise rests on. Some 25
minutes on a CPU.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from runners.analysis.assess import AssessingRunner, assess
from runners.methods.parts.signals import SIGNALS
from runners.models.load import LoadedModel, load_model, resolve_model
from runners.profile import write_profile
from runners.risk.calibrate import CalibrationRequest, calibrate
from workloads.base import StreamOptions
from workloads.records import Popularity
from workloads.registry import load_workload

WORKLOADS = ("binding", "multi-hop", "doc-qa", "video", "image-chat", "gui-agent", "gui-agent@window=10")
STREAMS: dict[Popularity, int] = {"even": 300, "own": 240}  # requests of each workload
EVEN_REUSE = 0.67
SEED = 601
BUDGET = 8 << 30


def assessed(model: LoadedModel, name: str, popularity: Popularity) -> list[CalibrationRequest]:
    """Assess the requests of one stream; cases are told apart from those of the other stream."""
    workload = load_workload(name)
    rate = EVEN_REUSE if popularity == "even" else workload.defaults.usual_reuse_rate(popularity)
    options = StreamOptions(STREAMS[popularity], SEED, reuse_rate=rate, popularity=popularity)
    limit = workload.defaults.max_new_tokens
    runner = AssessingRunner(model, BUDGET, limit, "template")
    found = assess(name, list(workload.conversations(options)), runner, limit)
    return [replace(request, case=f"{popularity}/{request.case}") for _, request in found if request is not None]


def main(file: Path) -> None:
    """Assess all streams, calibrate, and write the profile."""
    loaded = load_model("builtin", resolve_model("builtin"))
    model = replace(loaded, profile=replace(loaded.profile, risk=None))
    requests = []
    for name in WORKLOADS:
        for popularity in STREAMS:
            requests += assessed(model, name, popularity)
            print(f"{name}, {popularity}: {len(requests)} requests so far", file=sys.stderr)
    risk = calibrate(SIGNALS, "template", requests)
    write_profile(file, replace(loaded.profile, risk=risk), "Risk: docs/benchmarks/calibrate_builtin.py.")
    print("| promise | threshold | changed of separate requests | bound | tokens computed |\n|---|---|---|---|---|")
    for promise in risk.promises:
        print(
            f"| {promise.risk:g} | {promise.threshold:g} | {promise.changed} of {risk.requests} "
            f"| {promise.bound:.4f} | {promise.computed:.4f} |"
        )


if __name__ == "__main__":
    with torch.inference_mode():
        main(Path(sys.argv[1]))
