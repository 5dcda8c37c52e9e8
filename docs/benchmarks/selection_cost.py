"""What does choosing cost? Every selector at 500, 2,000 and 8,000 vision tokens, on one machine, request by request.

    python docs/benchmarks/selection_cost.py [--tokens N ...] [--layers L] [--hidden H] [--ratio R] [--requests N]
        [--runner RUNNERS] [--device cpu|cuda] [--dtype float32|bfloat16]

Builds a Qwen2.5-VL with random weights, heads of 64 and a fourth as many key heads: what is measured depends on shapes,
not on what weights know, so nothing here says who chooses well. Ours runs with a risk model that finds nothing at risk
in any request (`vlcache keeps`), and with one that has the ratio repaired in all, once by each ranking. Four
pictures come one by one, then together in another order under new texts; the runners answer each of these warm
requests in random order, and the medians are printed.
`select` is time spent choosing before the prefill. Methods that choose within the prefill (cacheblend, kvshare) pay by
computing more instead: see `recomputed`, the share of vision token-layers computed.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from runners.base import Request, Response
from runners.builtin.architecture import MERGE, PATCH, build_config, build_model
from runners.builtin.tokenizer import build_tokenizer
from runners.defaults import RunnerDefaults
from runners.engine.adapters.base import Adapter
from runners.engine.adapters.registry import build_adapter
from runners.engine.engine import UNMEASURED, Engine
from runners.engine.kv.workspace import Workspace
from runners.engine.method import Method, PlanContext
from runners.methods.parts.signals import SIGNALS
from runners.methods.vlcache import VLCache
from runners.profile import ModelProfile
from runners.registry import load_method, parse_specs
from runners.risk.model import RANKINGS, Promise, Ranking, RiskLevel, RiskModel
from workloads.records import Media, Message
from workloads.synthetic.drawing import CELL

RUNNERS = (
    "full,full-reuse,random-k,vlcache-paper,conduit,prophetkv,kvshare",
    "kvshare@schedule=all",
    "cacheblend",
    "cacheblend@score=k",
    "cacheblend@gradual=true",
)
PICTURES = 4
COLUMNS = 25  # of vision tokens in a picture
HEAD_DIM = 64
BUDGET_BYTES = 1 << 34
CONTEXT = 32_768


class Recorded:
    """A method that remembers what it was last given to plan with."""

    context: PlanContext

    def __init__(self, method: Method) -> None:
        self._method = method

    def __getattr__(self, name: str) -> Any:
        return getattr(self._method, name)

    def plan(self, context: PlanContext) -> Any:
        """See ``Method``."""
        self.context = context
        return self._method.plan(context)


class Entrant:
    """A runner, what it answered, and what it holds per vision token once the pictures are known."""

    def __init__(
        self, label: str, method: Method, adapter: Adapter, workspace: Workspace, profile: ModelProfile = UNMEASURED
    ) -> None:
        self.label, self._method = label, Recorded(method)
        self._engine = Engine(adapter, workspace, self._method, BUDGET_BYTES, profile=profile)  # type: ignore[arg-type]
        self.warm: list[Response] = []
        self.selection_flops: list[float] = []
        self.bytes_per_token = 0.0

    def meet(self, requests: Sequence[Request]) -> None:
        """Answer requests that bring the pictures."""
        for request in requests:
            self.bytes_per_token = _cache(self._engine.answer(request)).kv_bytes_per_token or 0.0

    def answer(self, request: Request) -> None:
        """Answer a warm request, and keep the figures."""
        self.warm.append(self._engine.answer(request))
        self.selection_flops.append(self._method.context.selection_flops)

    def row(self, tokens: int, full_ms: float, reuse_bytes: float) -> str:
        """A line of the table; the first warm request only warmed up."""
        timings = [response.timing for response in self.warm[1:] if response.timing]
        caches = [_cache(response) for response in self.warm[1:]]
        ttft_ms = self.ttft_ms()
        figures = [
            f"{ttft_ms:.1f}",
            f"{full_ms / ttft_ms:.2f}",
            f"{100 * median((timing.select_ms or 0) / timing.ttft_ms for timing in timings):.1f}",
            f"{100 * median(c.computed_token_layers / (c.vision_tokens * c.layers) for c in caches):.1f}",
            f"{100 * median(cache.flops / cache.full_flops for cache in caches):.1f}",
            f"{100 * median(f / c.flops for f, c in zip(self.selection_flops[1:], caches, strict=True)):.1f}",
            f"{self.bytes_per_token - reuse_bytes:+.0f}" if self.bytes_per_token else "",
        ]
        return f"| {tokens} | {self.label} | {' | '.join(figures)} |"

    def ttft_ms(self) -> float:
        """Median of the warm requests."""
        return median(response.timing.ttft_ms for response in self.warm[1:] if response.timing)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[500, 2000, 8000], help="multiples of 100")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=512, help="a multiple of 256")
    parser.add_argument("--ratio", type=float, default=0.05)
    parser.add_argument("--requests", type=int, default=3, help="warm requests measured")
    parser.add_argument("--runner", default=",".join(RUNNERS), help="full and full-reuse among them; ours always run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    options = parser.parse_args()
    adapter = random_adapter(options.layers, options.hidden, options.device, getattr(torch, options.dtype))
    print(
        f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads, {options.dtype}; "
        f"{options.layers} layers of width {options.hidden}; ratio {options.ratio}, {PICTURES} pictures, "
        f"medians of {options.requests} warm requests\n"
    )
    print(
        "| vision tokens | runner | TTFT ms | speed-up | select, % of TTFT | recomputed, % | FLOPs, % of full |"
        " selection, % of FLOPs | bytes per token over full-reuse |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for tokens in options.tokens:
        entrants = measure(adapter, tokens, options.ratio, options.requests, options.runner)
        reuse_bytes = next(entrant.bytes_per_token for entrant in entrants if entrant.label == "full-reuse")
        for entrant in entrants:
            print(entrant.row(tokens, entrants[0].ttft_ms(), reuse_bytes))


def random_adapter(layers: int, hidden: int, device: str, dtype: torch.dtype) -> Adapter:
    """A model of these sizes with random weights, not loaded from anywhere."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    config: Any = build_config(tokenizer, layers)
    heads = hidden // HEAD_DIM
    config.text_config.update(
        {
            "hidden_size": hidden,
            "intermediate_size": hidden * 11 // 4,
            "num_attention_heads": heads,
            "num_key_value_heads": heads // 4,
            "max_position_embeddings": CONTEXT,
            "initializer_range": 0.02,
        }
    )
    config.text_config.rope_parameters["mrope_section"] = [8, 12, 12]
    config.vision_config.out_hidden_size = hidden
    pixels = {"shortest_edge": CELL * CELL, "longest_edge": CONTEXT * CELL * CELL}
    images = Qwen2VLImageProcessorPil(patch_size=PATCH, merge_size=MERGE, temporal_patch_size=2, size=pixels)
    model: Any = build_model(config)
    return build_adapter(model.to(device, dtype).eval(), tokenizer, images)


def measure(adapter: Adapter, tokens: int, ratio: float, requests: int, runners: str) -> list[Entrant]:
    """Let every runner meet the pictures, then answer warm requests, one runner after the other in random order."""
    pictures = [_picture(index, tokens // PICTURES // COLUMNS) for index in range(PICTURES)]
    meeting = [_ask(f"meet-{index}", "Look: ", picture) for index, picture in enumerate(pictures)]
    specs = parse_specs(runners.split(","), RunnerDefaults(ratio))
    workspace = Workspace(adapter.kv_shape)
    entrants = [Entrant(spec.label, load_method(spec), adapter, workspace) for spec in specs]
    entrants.append(Entrant("vlcache keeps", VLCache(), adapter, workspace, always(0.0, RANKINGS[0])))
    for ranking in RANKINGS:
        label = f"vlcache repairs, {ranking}"
        entrants.append(Entrant(label, VLCache(), adapter, workspace, always(ratio, ranking)))
    for entrant in entrants:
        entrant.meet(meeting)
    rng = np.random.default_rng(0)
    for index in range(requests + 1):
        order = [pictures[place] for place in rng.permutation(PICTURES)]
        request = _ask(f"warm-{index}", f"{index}. Now all of them: ", *order, "Which has what the first one lacks?")
        for place in rng.permutation(len(entrants)):
            entrants[place].answer(request)
    return entrants


def always(share: float, ranking: Ranking) -> ModelProfile:
    """A profile whose risk model chooses the same level in every request."""
    flat = (0.0,) * len(SIGNALS)
    far = (1e6,) * len(SIGNALS)
    risk = RiskModel(
        signals=SIGNALS,
        low=tuple(-value for value in far),
        high=far,
        centre=flat,
        scale=(1.0,) * len(SIGNALS),
        levels=(RiskLevel(share, flat, -5.0),),
        promises=(Promise(0.02, 0.5, 0, 0.02, share),),
        families=(),
        donor="template",
        requests=0,
        confidence=0.95,
        ranking=ranking,
    )
    return ModelProfile(risk=risk)


def _picture(seed: int, rows: int) -> Media:
    noise = np.random.default_rng(seed).integers(0, 256, (rows * CELL, COLUMNS * CELL, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format="PNG")
    return Media("image", buffer.getvalue(), f"noise-{seed}.png")


def _ask(name: str, *content: str | Media) -> Request:
    return Request(name, (Message("user", content),), max_new_tokens=1)


def _cache(response: Response) -> Any:
    if response.cache is None:
        raise SystemExit(f"a request failed: {response.error}")
    return response.cache


if __name__ == "__main__":
    main()
