"""Measures the embedded model, all recomputed, on fresh benchmark seeds, for its model card."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from runners.base import Request
from runners.engine.engine import Engine
from runners.methods.full_recompute import FullRecompute
from runners.models.load import load_model
from workloads.base import StreamOptions
from workloads.registry import DEFAULT_WORKLOADS, load_workload
from workloads.scoring import judge

SAMPLES = 300
SEED = 1000


def examine(model: Path, samples: int = SAMPLES, seed: int = SEED) -> dict[str, dict[str, float]]:
    """Accuracy of full recomputation per workload: ``all``, and each family of questions."""
    loaded = load_model(str(model), model, "float32", "cpu")
    engine = Engine(loaded.adapter, loaded.workspace, FullRecompute(), budget=0)
    results: dict[str, dict[str, float]] = {}
    for name in DEFAULT_WORKLOADS:
        scores: dict[str, list[float]] = defaultdict(list)
        for conversation in load_workload(name).conversations(StreamOptions(samples, seed, reuse_rate=0.0)):
            for index, turn in enumerate(conversation.turns):
                response = engine.answer(Request(turn.id, conversation.prompt(index), max_new_tokens=4))
                points = judge(response.text or "", turn.answer).score
                scores["all"].append(points)
                scores[turn.family].append(points)
        results[name] = {family: round(sum(points) / len(points), 4) for family, points in sorted(scores.items())}
    return results
