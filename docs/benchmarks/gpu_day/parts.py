"""What is to be shown on a GPU: a list of parts, the one that is worth most first, each with what it may cost.

Estimates are of a GPU with some 700 TFLOP/s in bfloat16 and a host of 16 cores; they stand for a measurement where
there is none yet, and are no result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FOLDER, LIMIT = "FOLDER", "LIMIT"  # in arguments: the part's own folder, and the seconds that it has
SCRIPTS = "docs/benchmarks"
START_S = 30  # of a slow machine, to load what a part needs; in limits only
QWEN25, QWEN3, EXPERTS = "qwen2.5-vl-7b", "qwen3-vl-8b", "qwen3-vl-30b-a3b"


@dataclass(frozen=True)
class Part:
    """A command, run by this Python in the root of the repository.

    Attributes:
        shows: what it is good for, in a few words.
        estimate_s: seconds that it takes where none were measured.
        limit_s: seconds after which it is stopped.
        least_s: seconds that are worth beginning with: what it has done by then is shown, and continued by the next
            run; None for a part that shows nothing before its end.
        markdown: whether that is what it prints.
    """

    name: str
    shows: str
    arguments: tuple[str, ...]
    estimate_s: float
    limit_s: float
    least_s: float | None = None
    markdown: bool = False

    def command(self, folder: str, limit_s: float) -> list[str]:
        """The arguments with the part's folder and its seconds in place."""
        given: Mapping[str, str] = {FOLDER: folder, LIMIT: f"{limit_s:.0f}"}
        return [given.get(argument, argument) for argument in self.arguments]


def _tests(arguments: tuple[str, ...], estimate_s: float) -> Part:
    return Part("tests", "does everything run at all: the GPU tests", arguments, estimate_s, limit_s=115)


def _ttft(name: str, shows: str, options: tuple[str, ...], estimate_s: float, least_s: float) -> Part:
    arguments = (f"{SCRIPTS}/ttft.py", *options, "--output", FOLDER, "--seconds", LIMIT)
    return Part(name, shows, arguments, estimate_s, 2 * estimate_s + START_S, least_s, markdown=True)


def _paper(name: str, model: str, options: tuple[str, ...], estimate_s: float, least_s: float) -> Part:
    arguments = (f"{SCRIPTS}/paper.py", *options, "--output", FOLDER, "--seconds", LIMIT)
    shows = f"the paper's cells of {model}, published ones beside"
    return Part(name, shows, arguments, estimate_s, 1.5 * estimate_s + START_S, least_s, markdown=True)


def _fair(tokens: int, options: tuple[str, ...], estimate_s: float) -> Part:
    arguments = (f"{SCRIPTS}/full_vs_transformers.py", *options, "--tokens", str(tokens))
    return Part(f"fair-{tokens}", "full against transformers", arguments, estimate_s, 2 * estimate_s + START_S)


def _kernels(name: str, options: tuple[str, ...], estimate_s: float) -> Part:
    arguments = (f"{SCRIPTS}/gpu.py", *options)
    return Part(name, "are the kernels right, and how fast", arguments, estimate_s, limit_s=90, markdown=True)


_JUDGED = ("--at-most", "1.05")  # times the stock path: as slow as the baseline may be
_NO_HOST = ("--host-budget", "0")  # the paper times no tier but the device
_CUDA = ("--device", "cuda")
_LARGE = ("--size", "1x10000", "--requests", "4")
_SMALLER = tuple(part for size in ("8x1200", "1x4000", "1x1000") for part in ("--size", size))

PARTS = (
    _tests((f"{SCRIPTS}/gpu_tests.py",), estimate_s=60),
    _ttft(
        f"ttft-{QWEN25}",
        f"TTFT of every kind of runner, {QWEN25}, 10,000 tokens",
        ("--shape", QWEN25, *_CUDA, *_LARGE),
        estimate_s=100,
        least_s=80,
    ),
    _fair(4000, ("--model", f"shape:{QWEN25}", *_CUDA, "--requests", "20", *_JUDGED), estimate_s=55),
    _paper(f"paper-{QWEN25}", QWEN25, ("--shape", QWEN25, *_CUDA, *_NO_HOST), estimate_s=180, least_s=70),
    _kernels(f"kernels-{QWEN25}", ("--shape", QWEN25), estimate_s=45),
    _ttft(
        f"ttft-{QWEN3}",
        f"the same of {QWEN3}",
        ("--shape", QWEN3, *_CUDA, *_LARGE),
        estimate_s=100,
        least_s=80,
    ),
    _paper(f"paper-{QWEN3}", QWEN3, ("--shape", QWEN3, *_CUDA, *_NO_HOST), estimate_s=180, least_s=70),
    _fair(1000, ("--model", f"shape:{QWEN25}", *_CUDA, "--requests", "30", *_JUDGED), estimate_s=45),
    _kernels(f"kernels-{QWEN3}", ("--shape", QWEN3), estimate_s=45),
    _ttft(
        f"ttft-{QWEN25}-smaller",
        f"TTFT of {QWEN25}, many and smaller pages",
        ("--shape", QWEN25, *_CUDA, *_SMALLER, "--requests", "6"),
        estimate_s=150,
        least_s=70,
    ),
    _paper(f"paper-{EXPERTS}", EXPERTS, ("--shape", EXPERTS, *_CUDA, *_NO_HOST), estimate_s=240, least_s=100),
)

_TINY = ("--model", "builtin", "--device", "cpu")
_FEW = ("--requests", "2", "--warmup", "0", "--device-budget", "64MiB", "--host-budget", "64MiB")

REHEARSAL = (
    _tests((f"{SCRIPTS}/gpu_tests.py", "tests/runner_tests/test_memory.py"), estimate_s=15),
    _ttft("ttft-builtin", "as on a GPU, of the embedded model", (*_TINY, *_FEW, "--size", "1x96"), 30, least_s=20),
    _fair(48, (*_TINY, "--requests", "5"), estimate_s=25),
    _paper("paper-builtin", "the embedded model", (*_TINY, *_FEW, "--size", "2x48"), 30, least_s=20),
    _kernels("kernels-tiny", ("--shape", "tiny", "--device", "cpu", "--tokens", "64", "--repeats", "2"), 10),
)
"""The same on a CPU, of tiny stand-ins: what it shows is that a day with a GPU would not be lost on a mistake."""
