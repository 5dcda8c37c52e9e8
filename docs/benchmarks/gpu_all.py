"""Everything that is to be shown on a GPU, one part after the other: tests, kernels, a fair baseline, TTFT tables.

    python docs/benchmarks/gpu_all.py FOLDER [--only PART...]

Prints what the parts print and adds it to ``FOLDER/gpu.md``, with the end of a part's errors where it failed; all its
errors are in ``FOLDER/PART.err``, what the tables rest on in ``FOLDER/PART``. Every part has a time limit and is
stopped there; the next one runs in any case. The limits add up to less than 25 minutes. ``--only`` takes names of
parts, or how they begin. Exit code 0 when all parts passed, 1 when one did not, 2 without a CUDA device.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[2]
FOLDER = "FOLDER"  # in arguments, for the one that is given
SCRIPTS = "docs/benchmarks"
SHAPES = ("qwen2.5-vl-7b", "qwen3-vl-8b")
SIZES = ("1x10000", "8x1200", "1x4000", "1x1000")  # what matters most comes first
SLOWER = 1.05  # times the stock path: as much as the baseline may be
SHOWN = 30  # lines of a failed part's errors


@dataclass(frozen=True)
class Part:
    """A command, run by this Python in the root of the repository.

    Attributes:
        limit_s: seconds after which it is stopped.
        markdown: whether that is what it prints.
    """

    name: str
    arguments: tuple[str, ...]
    limit_s: float
    markdown: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a part ended: ``passed``, or why not."""

    name: str
    seconds: float
    ended: str

    @property
    def passed(self) -> bool:
        """Whether all was well."""
        return self.ended == "passed"


def _fair(tokens: int) -> Part:
    model, paired = ("--model", f"shape:{SHAPES[0]}"), ("--requests", "30", "--at-most", str(SLOWER))
    script = f"{SCRIPTS}/full_vs_transformers.py"
    return Part(f"fair-{tokens}", (script, *model, "--device", "cuda", "--tokens", str(tokens), *paired), 120)


def _ttft(shape: str) -> Part:
    sizes = (part for size in SIZES for part in ("--size", size))
    options = ("--shape", shape, "--device", "cuda", "--requests", "6", "--output", f"{FOLDER}/ttft-{shape}")
    return Part(f"ttft-{shape}", (f"{SCRIPTS}/ttft.py", *options, *sizes), 400, markdown=True)


PARTS = (
    Part("doctor", ("-m", "vlcache_cli", "doctor"), 30),
    Part("tests", ("-m", "pytest", "-m", "gpu", "-q"), 240),
    *(Part(f"kernels-{shape}", (f"{SCRIPTS}/gpu.py", "--shape", shape), 90, markdown=True) for shape in SHAPES),
    *(_fair(tokens) for tokens in (1000, 4000)),
    *(_ttft(shape) for shape in SHAPES),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=[""], metavar="PART", help=", ".join(part.name for part in PARTS))
    options = parser.parse_args(arguments)
    parts = [part for part in PARTS if part.name.startswith(tuple(options.only))]
    for name in options.only:
        if not any(part.name.startswith(name) for part in PARTS):
            parser.error(f"no part is called {name}; there are {', '.join(part.name for part in PARTS)}")
    if not has_cuda():
        print("gpu_all.py: no CUDA device: torch sees none; run this on a machine with one", file=sys.stderr)
        return 2
    options.folder.mkdir(parents=True, exist_ok=True)
    with (options.folder / "gpu.md").open("a", encoding="utf-8") as file:
        outcomes = [run(part, options.folder, file) for part in parts]
        tell(summary(outcomes), file)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def has_cuda() -> bool:
    """Whether torch sees a device."""
    import torch

    return torch.cuda.is_available()


def run(part: Part, folder: Path, file: TextIO) -> Outcome:
    """Run a part to its end or its limit, and pass on what it prints as it comes."""
    opening, closing = ("", "\n") if part.markdown else ("```text\n", "```\n\n")
    tell(f"# {part.name}\n\n```sh\n{shlex.join(['python', *part.arguments])}\n```\n\n{opening}", file)
    errors = folder / f"{part.name}.err"
    arguments = [argument.replace(FOLDER, str(folder.resolve())) for argument in part.arguments]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    started = time.monotonic()
    late = threading.Event()
    with (
        errors.open("w", encoding="utf-8") as sink,
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
            errors="replace",
            start_new_session=True,  # what it starts is stopped with it
        ) as process,
    ):
        assert process.stdout is not None
        timer = threading.Timer(part.limit_s, _stop, (process, late))
        timer.start()
        try:
            for line in process.stdout:
                tell(line, file)
            code = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                _stop(process, late)
    ended = "passed" if code == 0 else f"exit code {code}"
    if late.is_set():
        ended = f"stopped after {part.limit_s:g} s"
    outcome = Outcome(part.name, time.monotonic() - started, ended)
    tell(closing, file)
    if not outcome.passed:
        last = errors.read_text("utf-8", errors="replace").splitlines()[-SHOWN:]
        tell("\n".join([f"**{part.name}: {ended}**", "", "```text", *last, "```", "", ""]), file)
    return outcome


def summary(outcomes: Iterable[Outcome]) -> str:
    """Which parts passed, as Markdown."""
    lines = [f"| {outcome.name} | {outcome.ended} | {outcome.seconds:.0f} |" for outcome in outcomes]
    return "\n".join(["# Summary", "", "| part | ended | seconds |", "| --- | --- | --- |", *lines, ""])


def tell(text: str, file: TextIO) -> None:
    """Print, and keep, at once."""
    for stream in (sys.stdout, file):
        stream.write(text)
        stream.flush()


def _stop(process: subprocess.Popen[str], late: threading.Event) -> None:
    """End a process and all that it started."""
    late.set()
    os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
