"""Writes the embedded model's card: what it is, how it was made, and what it can do, measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import Qwen2_5_VLForConditionalGeneration

from runners.builtin.architecture import ROTARY_BASE
from runners.builtin.exam import SAMPLES, SEED

HEADER = """---
license: apache-2.0
pipeline_tag: image-text-to-text
---

# The embedded model of vlcache

A Qwen2.5-VL of {parameters:,} parameters ({layers} decoder layers, float32, {megabytes:.1f} MB), trained on vlcache's
own generators of card pages and clips. It answers in one token and knows nothing else: it exists so that reuse methods
can be told apart, offline and on a CPU.

Made by {recipe}.

Losses on the way are in `training_log.jsonl`. Lessons are drawn from the `train` split, benchmarks from `bench`: a
seed's random stream is named after its split, so the two cannot meet.

Its vision encoder turns positions with a rotary base of {rotary}.

## Accuracy with full recomputation

{samples} fresh requests per workload (`bench` split, seed {seed}, no medium recurring), greedy, exact match.

| workload | all | by kind of question |
|---|---|---|
"""


def write_card(
    path: Path,
    model: Qwen2_5_VLForConditionalGeneration,
    recipe: str,
    results: Mapping[str, Mapping[str, float]],
) -> None:
    """Write ``README.md`` beside the weights in ``path``; ``recipe`` tells how they were made."""
    config: Any = model.config
    megabytes = sum(file.stat().st_size for file in path.glob("model*.safetensors")) / 1e6
    text = HEADER.format(
        parameters=sum(weight.numel() for weight in model.parameters()),
        layers=config.text_config.num_hidden_layers,
        rotary=_rotary(config.vision_config.rope_parameters["rope_theta"]),
        megabytes=megabytes,
        recipe=recipe,
        samples=SAMPLES,
        seed=SEED,
    )
    for workload, families in results.items():
        kinds = ", ".join(f"{family} {share:.3f}" for family, share in families.items() if family != "all")
        text += f"| {workload} | {families['all']:.3f} | {kinds} |\n"
    (path / "README.md").write_text(text)


def _rotary(base: float) -> str:
    """Write a rotary base, and where it is not the usual one, that servers may compute with that nevertheless."""
    usual = "the usual one, with which servers compute"
    return f"{base:,.0f}, {usual}" if base == ROTARY_BASE else f"{base:,.0f}, and not {ROTARY_BASE:,.0f}, {usual}"


def recipe_of(path: Path) -> str:
    """How the model in ``path`` was made, as its card says."""
    card = path / "README.md"
    made = re.search(r"^Made by (.*?)[;.]$", card.read_text(), re.MULTILINE) if card.is_file() else None
    return made[1] if made else "what its card does not tell"
