"""Writes the embedded model's card: what it is, how it was made, and what it can do, measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runners.builtin.exam import SAMPLES, SEED

HEADER = """---
license: apache-2.0
pipeline_tag: image-text-to-text
---

# The embedded model of vlcache

A Qwen2.5-VL of {parameters:,} parameters ({layers} decoder layers, float32, {megabytes:.1f} MB), trained on vlcache's
own generators of card pages and clips. It answers in one token and knows nothing else: it exists so that reuse methods
can be told apart, offline and on a CPU.

Made by `python -m runners.builtin.train --output DIR {arguments}` in {steps} steps;
losses on the way are in `training_log.jsonl`. Lessons are drawn from the `train` split, benchmarks from `bench`: a
seed's random stream is named after its split, so the two cannot meet.

Its vision encoder turns positions with a rotary base of 50, as `config.json` says. Servers that ignore this and
compute with the usual 10,000 answer some questions otherwise (28 of 30 answers agreed on vLLM 0.32). Training it again
with 10,000 is open.

## Accuracy with full recomputation

{samples} fresh requests per workload (`bench` split, seed {seed}, no medium recurring), greedy, exact match.

| workload | all | by kind of question |
|---|---|---|
"""


def write_card(
    path: Path, results: Mapping[str, Mapping[str, float]], parameters: int, layers: int, steps: int, arguments: str
) -> None:
    """Write ``README.md`` beside the weights in ``path``."""
    megabytes = sum(file.stat().st_size for file in path.glob("model*.safetensors")) / 1e6
    text = HEADER.format(
        parameters=parameters,
        layers=layers,
        megabytes=megabytes,
        arguments=arguments,
        steps=steps,
        samples=SAMPLES,
        seed=SEED,
    )
    for workload, families in results.items():
        kinds = ", ".join(f"{family} {share:.3f}" for family, share in families.items() if family != "all")
        text += f"| {workload} | {families['all']:.3f} | {kinds} |\n"
    (path / "README.md").write_text(text)
