"""Is ``full`` a fair reference? Its TTFT against the stock ``generate(max_new_tokens=1)`` of transformers, paired.

    python docs/benchmarks/full_vs_transformers.py [--model builtin|DIR|shape:NAME] [--device auto|cpu|cuda]
        [--dtype auto|float32|bfloat16|float16] [--stock-attn sdpa|flash_attention_2|eager]
        [--workload NAME | --tokens N [--pages N]] [--requests N] [--warmup N] [--at-most RATIO]

Both start from the same encoded files and the same messages, use the same image processor and the same weights, in one
place in memory, and end with the first token id on the host and an idle device. The stock model has its fastest
attention, ours has what ``vlcache bench`` would choose; what ours does behind the first token is not counted. The
second comparison is the prefill alone: from input embeddings and positions to the logits of the last token, with the
cache filled. Every request is answered by both, in random order, after a warm-up; the ratio ours / theirs is taken per
request, and the interval of its median is a bootstrap over requests. Models are those of the Qwen-VL families; with
``--tokens`` a request shows pages of so many vision tokens each, and is asked again and again, about nothing that is
kept. Exit code 1 when the upper end of the interval of TTFT is above ``--at-most``, 2 for what cannot be done here.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
import torch
import transformers
from stock import Stock, our_prefill, prepare, stock_prefill

from runners.base import Request
from runners.engine.adapters import registry
from runners.engine.attention.capability import installed
from runners.engine.engine import Engine
from runners.engine.measure.timing import synchronize
from runners.methods.full_recompute import FullRecompute
from runners.models import checkpoint
from runners.models.choices import DEVICES, DTYPES
from runners.models.environment import describe_device
from runners.models.load import LoadedModel, load_model, resolve_model
from workloads.base import StreamOptions
from workloads.errors import UsageError
from workloads.registry import open_workload

PAGES = Path(__file__).with_name("pages.py")
SEED = 77

Timed = Callable[[Request], tuple[int, float]]
"""Answers a request: the first token, and the milliseconds that it took."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    options = parse(arguments)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        requests = ask(options)
        model, stock = load(options.model, options.dtype, options.device, options.stock_attn)
    except UsageError as error:
        print(f"full_vs_transformers.py: {error}", file=sys.stderr)
        return 2
    with torch.inference_mode():
        return measure(options, requests, model, stock)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--dtype", choices=DTYPES, default="auto")
    parser.add_argument("--stock-attn", choices=("sdpa", "flash_attention_2", "eager"), help="the fastest there is")
    parser.add_argument("--workload", default="doc-qa", help="a workload of images")
    parser.add_argument("--tokens", type=int, help="vision tokens of a page, in place of a workload")
    parser.add_argument("--pages", type=int, default=1, help="pages of a request")
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--at-most", type=float, default=float("inf"), help="1.05 for at most 5 %% slower")
    return parser.parse_args(arguments)


def ask(options: argparse.Namespace) -> list[Request]:
    """What both are asked; UsageError where there is no such thing."""
    if options.tokens is None:
        return asked_by(options.workload, options.requests)
    with tempfile.TemporaryDirectory() as folder:
        sizes = [f"--model={options.model}", f"--tokens={options.tokens}", f"--pages={options.pages}"]
        command = [sys.executable, str(PAGES), folder, *sizes, f"--requests={options.requests}"]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise UsageError(done.stderr.strip())
        together = asked_by(f"{folder}/requests.jsonl", options.pages + options.requests)
    return together[options.pages :]


def asked_by(workload: str, count: int) -> list[Request]:
    """The first requests of a workload; UsageError where there is none of that name."""
    return [
        Request(turn.id, conversation.prompt(index), max_new_tokens=1)
        for conversation in open_workload(workload).conversations(StreamOptions(count, seed=SEED))
        for index, turn in enumerate(conversation.turns)
    ]


def load(name: str, dtype: str, device: str, attention: str | None) -> tuple[LoadedModel, Stock]:
    """A model as the engine has it, and the stock model with the same weights and an attention of its own.

    The stock model's weights require gradients, as they do for its users: else torch 2.13 on a CPU copies those of the
    head to multiply them with the last hidden state.

    Args:
        attention: what transformers calls it; None for the fastest there is.

    Raises:
        UsageError: there is no such model or device, it is no Qwen-VL, or that attention cannot run here.
    """
    built = Mock(wraps=registry.build_adapter)
    with patch.object(registry, "build_adapter", built), patch.object(checkpoint, "build_adapter", built):
        loaded = load_model(name, resolve_model(name), dtype, device)
    adapter = loaded.adapter
    model, tokenizer, images, *_ = built.call_args.args
    if not hasattr(images, "merge_size"):
        raise UsageError(f"model '{name}' is no Qwen-VL: the stock path is written for those alone")
    flash = adapter.device.type == "cuda" and adapter.dtype != torch.float32 and installed("flash_attn")
    if attention == "flash_attention_2" and not flash:
        raise UsageError("flash_attention_2 needs flash-attn, a CUDA device and 16-bit numbers: use --stock-attn sdpa")
    held = {id(weight): torch.nn.Parameter(weight.data) for weight in model.parameters()}  # as from_pretrained has them
    stock = copy.deepcopy(model, held | {id(buffer): buffer for buffer in model.buffers()})
    stock.set_attn_implementation(attention or ("flash_attention_2" if flash else "sdpa"))
    return loaded, Stock(stock, tokenizer, images)


def measure(options: argparse.Namespace, requests: Sequence[Request], model: LoadedModel, stock: Stock) -> int:
    """Compare and print; the exit code."""
    adapter, workspace = model.adapter, model.workspace
    engine, device = Engine(adapter, workspace, FullRecompute(), budget=0), adapter.device

    def answer(request: Request) -> tuple[int, float]:
        response = engine.answer(request)
        if response.timing is None:
            raise RuntimeError(f"{request.id}: {response.error}")
        return response.token_ids[0], response.timing.ttft_ms

    machine = describe_device(device)
    tokens = int(stock.inputs(requests[-1])["mm_token_type_ids"].sum())
    print(
        f"{options.model}, {str(adapter.dtype).removeprefix('torch.')}, on {device} ({machine['device_name']}, "
        f"{machine['threads']} threads), the last request of {tokens:,} vision tokens; "
        f"transformers {transformers.__version__}, torch {torch.__version__}\n"
        f"attention: ours {adapter.attention.name}, transformers {stock.model.config._attn_implementation}; "
        f"ours in one product: {', '.join(adapter.fused) or 'nothing'}",
        flush=True,
    )
    upper = compare("TTFT from encoded files", requests, options.warmup, answer, timed(device, stock.first_token))
    prepared = {request.id: prepare(stock, request) for request in requests}
    compare(
        "prefill alone",
        requests,
        options.warmup,
        timed(device, lambda request: int(our_prefill(adapter, workspace, prepared[request.id]).argmax())),
        timed(device, lambda request: int(stock_prefill(stock, prepared[request.id]).argmax())),
    )
    if upper > options.at_most:
        print(f"TTFT: the ratio's interval reaches {upper:.3f}, above {options.at_most:g}")
    return int(upper > options.at_most)


def timed(device: torch.device, work: Callable[[Request], int]) -> Timed:
    """The same with the time that it takes, the device idle before and after."""

    def answer(request: Request) -> tuple[int, float]:
        synchronize(device)
        started = time.perf_counter()
        token = work(request)
        synchronize(device)
        return token, (time.perf_counter() - started) * 1e3

    return answer


def compare(title: str, requests: Sequence[Request], warmup: int, ours: Timed, theirs: Timed) -> float:
    """Time both on every request, in random order, and print the ratio; the upper end of its interval."""
    rng = np.random.default_rng(0)
    for request in requests[:warmup]:
        ours(request), theirs(request)
    times = np.empty((len(requests), 2))
    same = 0
    for row, request in enumerate(requests):
        tokens = {}
        for column in rng.permutation(2):
            tokens[column], times[row, column] = (ours, theirs)[column](request)
        same += tokens[0] == tokens[1]
    ratios = times[:, 0] / times[:, 1]
    medians = np.median(rng.choice(ratios, (10_000, len(ratios))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    ours_ms, theirs_ms = np.median(times, axis=0)
    print(
        f"{title}: ours {ours_ms:.1f} ms, transformers {theirs_ms:.1f} ms, ratio {np.median(ratios):.3f} "
        f"[{low:.3f}, {high:.3f}], same token {same}/{len(requests)}",
        flush=True,
    )
    return float(high)


if __name__ == "__main__":
    sys.exit(main())
