"""Everything that is to be shown on a GPU, in whatever time there is: what is worth most comes first.

    python docs/benchmarks/gpu_all.py FOLDER [--minutes 9] [--only PART...] [--retry] [--costs GPU.json] [--plan]
        [--rehearse]

Prints what it will do, what it leaves out and why, by what every part took the last time (in FOLDER, or as ``--costs``
says, which is the ``gpu.json`` of another run), else by the estimate that stands with the part (``gpu_day/parts.py``).
Then the parts run, one after the other, each with a time limit and files of its own in ``FOLDER/parts``; what a part
keeps for going on is in ``FOLDER/work``. A part that hangs is killed at its limit with all that it began, one that
fails is told with the end of its errors, and the next one runs in any case. The same command goes on where it was
broken off, however that was, and keeps what is done; ``--retry`` also repeats what failed. After every part
``FOLDER/gpu.md`` (the report) and ``FOLDER/gpu.json`` (the same with date, device, driver, versions and command) are
written anew, so that they are there whenever it ends.

``--rehearse`` does all of it on a CPU with tiny stand-ins. Exit code 0 when all parts that were to run passed, 1 when
one did not, 2 without a CUDA device, with packages missing, or in a folder of another machine.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpu_day import machine
from gpu_day.ledger import Ledger, read_costs, write
from gpu_day.parts import PARTS, REHEARSAL, Part
from gpu_day.plan import Planned, decide, describe, plan
from gpu_day.report import document, failure, markdown, summary
from gpu_day.running import run, source_commit

SAME = ("device", "versions", "rehearsal")
"""Facts in which all results of a folder are alike."""


@dataclass(frozen=True)
class Kept:
    """The report of all parts, those of earlier calls too."""

    ledger: Ledger
    about: Mapping[str, Any]
    every: Sequence[Part]

    def write(self, left_out: Sequence[Planned]) -> str:
        """Write both its forms; returns its summary."""
        report = document(self.about, self.every, self.ledger, left_out)
        write(self.ledger.folder / "gpu.json", report)
        (self.ledger.folder / "gpu.md").write_text(markdown(report, self.every, self.ledger), "utf-8")
        return summary(report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan, print the plan, run the parts; the exit code."""
    begun_at = time.monotonic()
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    every = REHEARSAL if options.rehearse else PARTS
    unknown = [name for name in options.only if not any(part.name.startswith(name) for part in every)]
    if unknown:
        return refuse(f"no part is called {unknown[0]}; there are {', '.join(part.name for part in every)}")
    parts = [part for part in every if part.name.startswith(tuple(options.only))]
    if lacking := machine.missing():
        return refuse(f"{', '.join(lacking)} missing: install them into this Python ({sys.executable})")
    if not options.rehearse and not machine.has_cuda():
        return refuse("no CUDA device: torch sees none; run this on a machine with one, or with --rehearse")
    try:
        ledger = Ledger(options.folder, read_costs(options.costs) if options.costs else {})
        told = ["FOLDER" if argument == str(options.folder) else argument for argument in arguments]
        about = begin(options, shlex.join(["python", "docs/benchmarks/gpu_all.py", *told]))
    except ValueError as error:
        return refuse(str(error))
    ends_at = begun_at + options.minutes * 60
    planned = plan(parts, ledger, ends_at - time.monotonic(), options.retry)
    print(describe(planned, options.minutes), flush=True)
    return 0 if options.plan else run_parts(parts, Kept(ledger, about, every), ends_at, options.retry)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=minutes, default=9.0, help="that there are in all; 9")
    parser.add_argument("--only", nargs="+", default=[""], metavar="PART", help="names of parts, or how they begin")
    parser.add_argument("--retry", action="store_true", help="run again what failed")
    parser.add_argument("--costs", type=Path, metavar="GPU.json", help="measured seconds, of an earlier run elsewhere")
    parser.add_argument("--plan", action="store_true", help="print the plan, and run nothing")
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, with tiny stand-ins for everything")
    return parser.parse_args(arguments)


def minutes(text: str) -> float:
    """A number of minutes; an error for the command line when it is none."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of minutes, such as 9")
    return number


def begin(options: argparse.Namespace, command: str) -> dict[str, Any]:
    """What is measured on what; as it was written down before, where the folder has results.

    Raises:
        ValueError: these are of another machine, or nothing can be measured with this Python.
    """
    facts = {**machine.describe(options.rehearse), "rehearsal": options.rehearse}
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"begun": begun, "command": command, "minutes": options.minutes, "source": source_commit(), **facts}
    file = options.folder / "machine.json"
    if file.is_file():
        try:
            before = json.loads(file.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} is no JSON: give another folder") from error
        other = [name for name in SAME if before.get(name) != about[name]]
        if other:
            raise ValueError(f"{options.folder} has results of another {' and '.join(other)}: give another folder")
        return {**about, "begun": before["begun"]}
    if not options.plan:
        options.folder.mkdir(parents=True, exist_ok=True)
        write(file, about)
    return about


def run_parts(parts: Sequence[Part], kept: Kept, ends_at: float, retry: bool) -> int:
    """Run every part that is open and fits in the time until ``ends_at``; the exit code."""
    left_out: list[Planned] = []
    passed = True
    for part in parts:
        item = decide(part, kept.ledger, ends_at - time.monotonic(), retry)
        if item.runs:
            tell(f"\n# {part.name}\n\n")
            result = run(part, kept.ledger, ends_at - time.monotonic(), tell)
            passed = passed and result.status == "passed"
            if result.status != "passed":
                tell(f"\n{failure(part, kept.ledger, result.ended)}\n")
        elif kept.ledger.is_open(part, retry):
            left_out.append(item)
        kept.write(left_out)
    tell(f"\n# Summary\n\n{kept.write(left_out)}\n\nThe report: {kept.ledger.folder / 'gpu.md'}\n")
    return 0 if passed else 1


def tell(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def refuse(reason: str) -> int:
    """One line of why nothing is run; the exit code."""
    print(f"gpu_all.py: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
