"""``vlcache lm-eval``: lm-eval's own command line with our runners as the model ``vlcache``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

import typer

from vlcache_cli import console
from vlcache_cli.failures import ExitCode

if TYPE_CHECKING:
    from runners.lm_eval.timing import SampleTiming

OURS = (
    "lm-eval's own command line; with --model vlcache --model_args runner=SPEC,pretrained=builtin|DIR|ID one of our "
    "runners answers, and the time to first token is measured of every sample."
)
HELP = ("-h", "--help")
AS_THEY_ARE = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def lm_eval(context: typer.Context) -> ExitCode:
    """Run lm-eval's own command line; --model vlcache is any of our runners."""
    arguments = context.args
    if not arguments or any(argument in HELP for argument in arguments):
        console.show_text(f"{fill(OURS, get_terminal_size().columns, break_on_hyphens=False)}\n")
    from runners.lm_eval.command import run

    done = run(arguments)
    if done.refused:
        return ExitCode.USAGE
    for model in done.models:
        console.note(f"{model.runner.label}: {model.summary()}")
        if done.output is not None:
            console.note(f"times of every sample kept in {keep(model.timings, done.output)}")
    failed = any(model.summary().failed for model in done.models)
    return ExitCode.REQUESTS_FAILED if failed else ExitCode.OK


def keep(timings: Sequence[SampleTiming], folder: Path) -> Path:
    """Write one line for each sample into a new file, named as lm-eval names its own."""
    from reports.run.disk import writing_to

    file = folder / f"vlcache_timing_{datetime.now().isoformat().replace(':', '-')}.jsonl"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{json.dumps(asdict(timing))}\n" for timing in timings), encoding="utf-8")
    return file
