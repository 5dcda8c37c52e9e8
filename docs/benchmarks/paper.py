"""The table of VLCache's paper (arXiv 2512.12977v2) on this machine, the published cells that are known beside it.

    python docs/benchmarks/paper.py [--shape NAME | --model builtin] [--size PAGESxTOKENS]... [--requests N]
        [--warmup N] [--device auto|cpu|cuda] [--dtype auto|float32|bfloat16|float16] [--device-budget SIZE]
        [--host-budget SIZE] [--output FOLDER] [--seconds N]

The paper's arms at its sizes: several images, here of 2,500 tokens each at most, and about 20 tokens of text. TTFT is
split into encoder (files to pixels, and the vision encoder) and language model (all the rest), and the speed-up into
what the encoder cache gives and what keys and values give on top of it. Pages, requests, going on and ``--seconds`` are
those of ``page_runs``, exit codes those of ``ttft.py``. On a CPU: ``--shape qwen3-vl-8b-small --dtype float32``. What
the figures stand for: docs/paper.md.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from page_runs import (
    ALL_OK,
    SOME_FAILED,
    UNFINISHED,
    Run,
    Size,
    add_options,
    facts,
    markdown,
    measure,
    median_of,
    number,
    part_ms,
    read_runs,
    shortcomings,
    write_pages,
)

from runners.engine.measure.timing import PARTS
from runners.records import Timing

ARMS = {
    "full": "Origin",
    "encoder-cache": "w/o ViT",
    "full-reuse": "r = 0",
    "vlcache-paper@profile=flat": "static r",
    "vlcache-paper": "dynamic",
    "vlcache": "ours",
}
"""What the paper calls its arms, by our runners: those of the preset `paper`."""
ORIGIN, ENCODER_CACHE, REUSE = "full", "encoder-cache", "full-reuse"
SIZES = ("2x700", "8x2500", "2x500", "4x2500", "2x2500")
ENCODER = ("preprocess", "encode")
GAP = 0.02  # of TTFT: more between it and the sum of its parts is told
HEADS = ["arm", "runner", "warm", "TTFT ms", "encoder", "language model", "times as fast", "by encoder", "by KV"]
HEADS += ["computed %", "published s", "published times"]
LEGEND = (
    "Milliseconds are those of the warm request with the median TTFT. Times as fast: median of TTFT full / runner "
    "within a request; by "
    "encoder: full / encoder-cache; by KV: encoder-cache / runner. Published: seconds on an NVIDIA H20-3e, from "
    "page-cited summaries of the paper's second version, of the model with these proportions; w/o ViT is its language "
    "model's time."
)


@dataclass(frozen=True)
class Published:
    """What the paper reports of a model at a number of image tokens: seconds, and times as fast.

    Attributes:
        r0_s, r0_times: of full reuse; None where it is not known.
    """

    encoder_s: float
    language_s: float
    encoder_cache_times: float
    r0_s: float | None = None
    r0_times: float | None = None

    def of(self, runner: str) -> tuple[float | None, float | None]:
        """Seconds and times as fast of the arm that a runner stands for."""
        if runner == ORIGIN:
            return self.encoder_s + self.language_s, 1.0
        if runner == ENCODER_CACHE:
            return self.language_s, self.encoder_cache_times
        return (self.r0_s, self.r0_times) if runner == REUSE else (None, None)


PUBLISHED = {
    ("qwen3-vl-8b", 1000): Published(0.106, 0.286, 1.37),
    ("qwen3-vl-8b", 20_000): Published(1.219, 7.565, 1.16, 4.430, 1.98),
    ("qwen3-vl-32b", 20_000): Published(1.730, 18.549, 1.09),
    ("qwen2.5-vl-7b", 1400): Published(0.313, 0.322, 1.97),
    ("qwen2.5-vl-7b", 20_000): Published(56.50, 6.251, 10.0),
}
PROPORTIONS = {"qwen3-vl-8b-small": "qwen3-vl-8b"}
"""Small shapes, and the published model whose proportions they have."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the arms at every size and print; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    sizes: list[Size] = options.size or [Size.parse(size) for size in SIZES]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        if not write_pages(options, sizes, folder):
            return 2
        print(f"```sh\n{shlex.join(['python', 'docs/benchmarks/paper.py', *arguments])}\n```\n\n{LEGEND}\n", flush=True)
        code = measure(options, sizes, ["--preset", "paper"], folder)
        runs = read_runs(sizes, folder)
    if runs:
        print(f"{facts(next(iter(runs.values())).manifest)}\n")
    right = code in (ALL_OK, SOME_FAILED)
    for size in sizes:
        run = runs.get(size)
        wrong = ["not measured"] if run is None else [*shortcomings(run, size, options.requests), *gaps(run)]
        parts = [f"## {options.model}, {title(run, size)}", *([] if run is None else [table(run, options.model, size)])]
        print("\n\n".join([*parts, *(f"**{line}**" for line in wrong)]), end="\n\n", flush=True)
        right = right and not wrong
    print(f"## Published cells\n\n{published()}\n")
    return UNFINISHED if code == UNFINISHED else 0 if right else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "shape:qwen2.5-vl-7b", SIZES, requests=3)
    return parser.parse_args(arguments)


def title(run: Run | None, size: Size) -> str:
    """What a request holds."""
    image = f"{size.pages * size.tokens:,} image tokens"
    if run is None:
        return image
    caches = [record.cache for record in run.warm(ORIGIN) if record.cache is not None]
    text = median_of(cache.prompt_tokens - cache.vision_tokens for cache in caches)
    return f"{image} ({size}), {number(text, '.0f')} of text and template"


def table(run: Run, model: str, size: Size) -> str:
    """A line for each arm, the published cell in it."""
    name = model.removeprefix("shape:")
    cell = PUBLISHED.get((PROPORTIONS.get(name, name), size.pages * size.tokens))
    lines = []
    for row in run.rows:
        runner = row["runner"]
        times = timings(run, runner)
        shown = middle(times.values())
        seconds, faster = (None, None) if cell is None else cell.of(runner)
        lines.append(
            [
                ARMS[runner],
                f"`{runner}`",
                str(len(times)),
                *(number(of(shown) if shown else None, ".1f") for of in (ttft_ms, encoder_ms, language_ms)),
                number(gain(run, ORIGIN, runner), ".2f"),
                number(None if runner == ORIGIN else gain(run, ORIGIN, ENCODER_CACHE), ".2f"),
                number(None if runner in (ORIGIN, ENCODER_CACHE) else gain(run, ENCODER_CACHE, runner), ".2f"),
                number(None if row["recompute_ratio"] is None else 100 * row["recompute_ratio"], ".1f"),
                number(seconds, ".3f"),
                number(faster, ".2f"),
            ]
        )
    return markdown(HEADS, lines)


def published() -> str:
    """Every published cell that is known."""
    heads = [
        "model",
        "image tokens",
        "encoder s",
        "language model s",
        "w/o ViT, times",
        "r = 0, s",
        "r = 0, times",
    ]
    lines = [
        [
            model,
            f"{tokens:,}",
            f"{cell.encoder_s:.3f}",
            f"{cell.language_s:.3f}",
            f"{cell.encoder_cache_times:.2f}",
            number(cell.r0_s, ".3f"),
            number(cell.r0_times, ".2f"),
        ]
        for (model, tokens), cell in PUBLISHED.items()
    ]
    return markdown(heads, lines)


def timings(run: Run, runner: str) -> dict[str, Timing]:
    """Times of a runner's warm requests, by request."""
    return {record.request: record.timing for record in run.warm(runner) if record.timing is not None}


def middle(times: Iterable[Timing]) -> Timing | None:
    """The times of the request whose TTFT is the median, the lower of two: of one request, so that parts add up."""
    in_order = sorted(times, key=ttft_ms)
    return in_order[(len(in_order) - 1) // 2] if in_order else None


def ttft_ms(timing: Timing) -> float:
    """Milliseconds of a TTFT."""
    return timing.ttft_ms


def encoder_ms(timing: Timing) -> float:
    """Milliseconds of a TTFT that its pictures take: decoding, preprocessing, encoding."""
    return sum(part_ms(timing, part) for part in ENCODER)


def language_ms(timing: Timing) -> float:
    """Milliseconds of all its other parts."""
    return sum(part_ms(timing, part) for part in PARTS if part not in ENCODER)


def gain(run: Run, slower: str, faster: str) -> float | None:
    """How many times as fast a runner is as another one: median of the ratios within a request."""
    before, after = timings(run, slower), timings(run, faster)
    return median_of(before[request].ttft_ms / after[request].ttft_ms for request in before.keys() & after.keys())


def gaps(run: Run) -> list[str]:
    """A sentence for every runner whose parts leave something of TTFT out in every request: no mere interruption."""
    found = []
    for row in run.rows:
        least = min(map(gap, timings(run, row["runner"]).values()), default=0.0)
        if least > GAP:
            found.append(f"{row['runner']}: the parts leave out {100 * least:.0f} % of TTFT or more")
    return found


def gap(timing: Timing) -> float:
    """What lies between a TTFT and the sum of its parts, as a share of it."""
    return abs(timing.ttft_ms - encoder_ms(timing) - language_ms(timing)) / timing.ttft_ms


if __name__ == "__main__":
    sys.exit(main())
