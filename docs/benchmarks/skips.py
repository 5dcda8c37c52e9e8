"""What is saved by projecting only keys and values in the last layer in which a token is computed.

    python docs/benchmarks/skips.py [--model DIR] [--tokens N] [--repeats N]

Times the prefill of one prompt with and without the skip, for plans that end in different layers, and prints ratios of
medians (without / with; above 1 is a saving). Keys, values and answers are equal: tests/engine_tests/test_skips.py.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import torch

from runners.builtin import MODEL_DIR
from runners.engine.adapters.base import Adapter
from runners.engine.kv.buffer import KVBuffer
from runners.engine.plan import Plan
from runners.engine.prefill import prefill
from runners.engine.prompt.tensors import PromptTensors
from runners.methods.parts.layer_schedule import linear_weights, spread
from runners.models.load import load_model


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--tokens", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    adapter = load_model(str(options.model), options.model, "float32", "cpu").adapter
    positions = torch.arange(options.tokens).expand(adapter.shape.rope_axes, -1)
    hidden = torch.randn(options.tokens, adapter.shape.hidden, generator=torch.Generator().manual_seed(0))
    prompt = PromptTensors(hidden, *adapter.rotary(positions))
    print(f"{options.tokens} tokens, {adapter.shape.layers} layers, median of {options.repeats}\n")
    print("| plan | time without / with | FLOPs without / with |\n|---|---|---|")
    for name, depth in _plans(adapter, options.tokens).items():
        with torch.inference_mode():
            times, flops = _measure(adapter, prompt, depth, options.repeats)
        print(f"| {name} | {times:.3f} | {flops:.3f} |")


def _plans(adapter: Adapter, tokens: int) -> dict[str, torch.Tensor]:
    """Depths of all tokens; the last ten are text."""
    layers = adapter.shape.layers
    plans = {"full": torch.full((tokens,), layers)}
    for ratio in (0.5, 0.2, 0.05):
        depth = torch.zeros(tokens, dtype=torch.int64)
        for layer, share in enumerate(spread(ratio, linear_weights(layers))):
            depth[: int(share * tokens)] = layer + 1
        depth[-10:] = layers
        plans[f"leading run, linear profile, ratio {ratio}"] = depth
    return plans


def _measure(adapter: Adapter, prompt: PromptTensors, depth: torch.Tensor, repeats: int) -> tuple[float, float]:
    """Ratios without / with the skip, of median times (interleaved) and of operations."""
    times: dict[bool, list[float]] = {True: [], False: []}
    flops: dict[bool, float] = {}
    kv = KVBuffer.allocate(adapter.kv_shape, len(depth))
    kv.k.zero_()
    kv.v.zero_()
    for _ in range(repeats):
        for skips, kept in times.items():
            start = time.perf_counter()
            flops[skips] = prefill(adapter, prompt, kv, Plan(depth), skips=skips).flops
            kept.append(time.perf_counter() - start)
    return median(times[False]) / median(times[True]), flops[False] / flops[True]


if __name__ == "__main__":
    main()
