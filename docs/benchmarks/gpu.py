"""Are the engine's kernels right on this GPU, and how fast? Checks and times every backend that can run here.

    python docs/benchmarks/gpu.py [--shape qwen2.5-vl-7b|qwen3-vl-8b|tiny] [--tokens N]... [--repeats N]
        [--device cuda|cpu]

Every result in bfloat16 is compared with the reference's in float32 on the same numbers. Times are of one layer: each
repeat runs all layers of the model, whose keys and values lie apart, so that none is in a cache, with what is derived
once per request derived anew; backends take turns in random order; the median over repeats is shown, and the median of
the ratios to ``sdpa`` (to torch, for placing) within the same repeat. Prints one Markdown table. On a CPU it is a
rehearsal, for the shape ``tiny``. Exit code 2 without the device, 1 if a result is off.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import torch
from torch import Tensor

from runners.engine.attention.backends import BACKENDS, backend_class, obstacles
from runners.engine.attention.base import Attention
from runners.engine.attention.capability import lacks_triton
from runners.engine.attention.sdpa import Sdpa
from runners.engine.attention.view import LookBack
from runners.engine.kv.placing import placing_by_torch
from runners.engine.kv.stored import StoredKV
from runners.models.environment import describe_device

TOLERANCE = 0.02  # of bfloat16 outputs of order 1
SHAPES = {"qwen2.5-vl-7b": (28, 28, 4, 128), "qwen3-vl-8b": (36, 32, 8, 128), "tiny": (2, 4, 2, 16)}
"""Layers, heads, kv_heads, head_dim."""
MEDIA = 8
WARMUP = 3


@dataclass(frozen=True)
class Asked:
    """Some tokens of a prompt, with queries of one layer, and keys and values of all.

    Attributes:
        q: ``(heads, queries, head_dim)``.
        k, v: ``(layers, kv_heads, capacity, head_dim)``.
        tokens: their indices, ascending, on the CPU; None for all.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    tokens: Tensor | None

    def view(self) -> LookBack | None:
        """A new one, of which nothing is derived yet."""
        return None if self.tokens is None else LookBack.of(self.tokens, self.q.device)

    def by(self, backend: Attention) -> None:
        """Attention in every layer."""
        view = self.view()
        for k, v in zip(self.k, self.v, strict=True):
            backend.attend(self.q, k, v, view)

    def error(self, backend: Attention) -> float:
        """Largest difference to the reference in float32, in the first layer."""
        q, k, v = self.q.float(), self.k[0].float(), self.v[0].float()
        expected = Sdpa().attend(q, k, v, self.view())
        return float((backend.attend(self.q, self.k[0], self.v[0], self.view()).float() - expected).abs().max())


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-vl-7b")
    parser.add_argument("--tokens", type=int, action="append", help="prompt lengths; 1000, 4000 and 10000")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("gpu.py: no CUDA device: torch sees none; run this on a machine with one", file=sys.stderr)
        return 2
    device = torch.device(options.device)
    name = describe_device(device)["device_name"]
    print(f"{name}; torch {torch.__version__}, {_triton(device)}; {options.shape}, bfloat16\n")
    for name, obstacle in obstacles(device).items():
        if obstacle is not None:
            print(f"Left out: `{name}`: {obstacle}\n")
    print("| what | by | largest error | ms per layer | times as fast |\n|---|---|---|---|---|")
    right = True
    with torch.inference_mode():
        for tokens in options.tokens or (1000, 4000, 10_000):
            for what, asked in cases(options.shape, tokens, device):
                right &= compare_attention(what, asked, options.repeats)
            right &= compare_placing(options.shape, tokens, device, options.repeats)
    return 0 if right else 1


def cases(shape: str, tokens: int, device: torch.device) -> Iterator[tuple[str, Asked]]:
    """Which tokens ask in the benchmark, in words and as tensors."""
    layers, heads, kv_heads, head_dim = SHAPES[shape]
    capacity = tokens + -tokens % 256
    k, v = (torch.empty(layers, kv_heads, capacity, head_dim, device=device, dtype=torch.bfloat16) for _ in range(2))
    k.normal_(), v.normal_()
    question = torch.arange(tokens - min(32, tokens), tokens)
    asking: dict[str, Tensor | None] = {"all": None, "the last": question[-1:], "the last 32": question}
    for percent in (2, 5, 15):
        chosen = torch.randperm(tokens)[: tokens * percent // 100]
        asking[f"{percent} % here and there, and the last 32"] = torch.cat((chosen, question)).unique()
    run = torch.arange(tokens // 4, tokens // 4 + tokens * 5 // 100)
    asking["5 % in one run, and the last 32"] = torch.cat((run, question)).unique()
    for what, chosen_tokens in asking.items():
        queries = tokens if chosen_tokens is None else len(chosen_tokens)
        q = torch.randn(queries, heads, head_dim, device=device, dtype=torch.bfloat16).transpose(0, 1)
        yield f"attention of {what}, of {tokens:,}", Asked(q, k, v, chosen_tokens)


def able(dtype: torch.dtype, head_dim: int, device: torch.device) -> dict[str, Attention]:
    """The backends that can run here with such numbers; the reference first."""
    classes = {name: backend_class(name) for name in BACKENDS}
    return {
        name: backend()
        for name, backend in classes.items()
        if backend.lacks(device) is None and backend.refuses(dtype, head_dim) is None
    }


def compare_attention(what: str, asked: Asked, repeats: int) -> bool:
    """Print a line for each backend; whether all were right."""
    backends = able(asked.q.dtype, asked.q.shape[2], asked.q.device)
    errors = {name: asked.error(backend) for name, backend in backends.items()}
    works = {name: partial(asked.by, backend) for name, backend in backends.items()}
    return _print(what, errors, measure(works, repeats, asked.q.device), len(asked.k))


def placing(shape: str, tokens: int, device: torch.device) -> tuple[list[StoredKV], Tensor, Tensor]:
    """Media that fill a prompt, and room for its keys and values."""
    layers, _, kv_heads, head_dim = SHAPES[shape]
    each = tokens // MEDIA
    cos, sin, k, v = (
        torch.randn(size, device=device, dtype=torch.bfloat16)
        for size in ((tokens, head_dim),) * 2 + ((layers, kv_heads, tokens, head_dim),) * 2
    )
    media = [
        StoredKV(
            start,
            torch.randn(layers, kv_heads, each, head_dim, device=device, dtype=torch.bfloat16),
            torch.randn(layers, kv_heads, each, head_dim, device=device, dtype=torch.bfloat16),
            cos[start : start + each],
            sin[start : start + each],
        )
        for start in range(0, each * MEDIA, each)
    ]
    return media, k, v


def compare_placing(shape: str, tokens: int, device: torch.device, repeats: int) -> bool:
    """Print a line for torch and, where Triton runs, for our kernel; whether both agree."""
    media, k, v = placing(shape, tokens, device)
    works: dict[str, Callable[[], None]] = {"torch": lambda: placing_by_torch(media, k, v)(0, len(k))}
    errors = {"torch": 0.0}
    if lacks_triton(device) is None:
        from runners.engine.kv.triton_placing import placing_by_kernel

        works["triton"] = lambda: placing_by_kernel(media, k, v)(0, len(k))
        errors["triton"] = placing_error(media, k, v)
    return _print(f"placing {MEDIA} media, {tokens:,} tokens", errors, measure(works, repeats, device), len(k))


def placing_error(media: Sequence[StoredKV], k: Tensor, v: Tensor) -> float:
    """Largest difference between our kernel and torch."""
    from runners.engine.kv.triton_placing import placing_by_kernel

    expected = k.clone(), v.clone()
    placing_by_torch(media, *expected)(0, len(k))
    placing_by_kernel(media, k, v)(0, len(k))
    return max(float((x.float() - y.float()).abs().max()) for x, y in zip((k, v), expected, strict=True))


def measure(works: Mapping[str, Callable[[], None]], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Milliseconds of every repeat; in each, all take their turns in random order."""
    times: dict[str, list[float]] = {name: [] for name in works}
    shuffled = list(works)
    for repeat in range(WARMUP + repeats):
        random.shuffle(shuffled)
        for name in shuffled:
            taken = _milliseconds(works[name], device)
            if repeat >= WARMUP:
                times[name].append(taken)
    return times


def _milliseconds(work: Callable[[], None], device: torch.device) -> float:
    """What a work takes: on a GPU by its own clock."""
    if device.type == "cpu":
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * 1e3
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end))


def _print(what: str, errors: dict[str, float], times: dict[str, list[float]], layers: int) -> bool:
    """Lines of the table; ratios are to the first."""
    first = next(iter(times.values()))
    for name, taken in times.items():
        ratio = statistics.median(base / own for base, own in zip(first, taken, strict=True))
        wrong = "" if errors[name] <= TOLERANCE else " **off**"
        milliseconds = statistics.median(taken) / layers
        print(f"| {what} | `{name}` | {errors[name]:.1e}{wrong} | {milliseconds:.4f} | {ratio:.2f} |", flush=True)
    return all(error <= TOLERANCE for error in errors.values())


def _triton(device: torch.device) -> str:
    return f"Triton {version('triton')}" if lacks_triton(device) is None else "no Triton"


if __name__ == "__main__":
    sys.exit(main())
