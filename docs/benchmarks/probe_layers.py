"""In which layers does a drift probe find the tokens that matter? Accuracy and KL for single layers and for groups.

    python docs/benchmarks/probe_layers.py [--model DIR] [--ratio R] [--samples N] [--seed S]

Runs `binding` (answers depend on what stood before a picture) through `vlcache@probe=...` and prints what warm requests
score. The model's `vlcache.yaml` holds the cheapest choice that loses nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

from runners.builtin import MODEL_DIR
from runners.local import build_runner
from runners.models import load_model
from runners.records import Record, Warmth
from runners.registry import RunnerDefaults, parse_specs
from runners.session import SessionOptions, serve
from workloads.base import StreamOptions
from workloads.registry import load_workload


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--ratio", type=float, default=0.05)
    parser.add_argument("--samples", type=int, default=120)
    parser.add_argument("--seed", type=int, default=500)
    options = parser.parse_args()
    model = load_model(str(options.model), options.model, "float32", "cpu")
    layers = model.adapter.shape.layers
    singles = [str(layer) for layer in range(layers - 1)]
    groups = ["+".join(singles[:count]) for count in (2, 3, 4, layers - 1)]
    specs = ["full,full-reuse", *(f"vlcache@probe={layer}" for layer in (*singles, *groups))]
    runners = [build_runner(spec, model) for spec in parse_specs(specs, RunnerDefaults(options.ratio))]
    stream = list(load_workload("binding").conversations(StreamOptions(options.samples, options.seed)))
    records: dict[str, list[Record]] = {runner.label: [] for runner in runners}
    for record in serve("binding", stream, runners, SessionOptions("full", 0, 2, warmup=0), {}):
        if record.warmth is Warmth.WARM:
            records[record.runner].append(record)
    print(f"binding, {len(records['full'])} warm requests, ratio {options.ratio}\n")
    print("| runner | accuracy | KL to full |\n|---|---|---|")
    for runner, kept in records.items():
        score, kl = mean(record.score for record in kept), mean(record.kl or 0.0 for record in kept)
        print(f"| {runner} | {score:.3f} | {kl:.4f} |")


if __name__ == "__main__":
    main()
