"""Run lm-eval's own command line, with the model ``vlcache`` registered."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from lm_eval._cli import HarnessCLI
from lm_eval.utils import setup_logging

import runners.lm_eval.model  # noqa: F401  # registers our model
from runners.lm_eval.runner import RunnerLM, collecting
from workloads.errors import UsageError
from workloads.reading import check, in_one_line, read_yaml
from workloads.reading.regular import read_bounded

LARGEST_CONFIG = 1 << 16


@dataclass(frozen=True)
class Evaluated:
    """What lm-eval's command line did.

    Attributes:
        models: those of ours that it made, with their timings.
        output: the folder of ``--output_path``; None without one.
        refused: whether it stopped at its arguments, and has told why.
    """

    models: tuple[RunnerLM, ...] = ()
    output: Path | None = None
    refused: bool = False


def run(arguments: Sequence[str]) -> Evaluated:
    """Run lm-eval with ``arguments``; it prints its results itself.

    Raises:
        UsageError: lm-eval refuses what was asked before anything is answered.
    """
    setup_logging()
    output: Path | None = None
    with _called_with(arguments), collecting() as models:
        try:
            parser = HarnessCLI()
            told = _parse(parser)
            output = _output(getattr(told, "output_path", None), getattr(told, "config", None))
            parser.execute(told)
        except SystemExit as stop:
            return Evaluated(refused=bool(stop.code))
        except (ValueError, OSError) as error:
            if isinstance(error, UsageError) or any(model.timings for model in models):
                raise
            raise UsageError(f"lm-eval: {' '.join(str(error).split())}") from error
    return Evaluated(tuple(models), output)


def _parse(parser: HarnessCLI) -> Namespace:
    """Parse the arguments; UsageError, in one line and without the usage, when lm-eval refuses them."""
    with redirect_stderr(StringIO()) as said:
        try:
            told: Namespace = parser.parse_args()
        except SystemExit as stop:
            if not stop.code:
                raise
            raise UsageError(f"lm-eval: error: {in_one_line(said.getvalue().rpartition(': error: ')[2])}") from stop
    sys.stderr.write(said.getvalue())
    return told


def _output(path: str | None, config: str | None) -> Path | None:
    """Find the folder that ``--output_path`` or lm-eval's YAML file ``config`` names."""
    if config is not None:
        if not Path(config).is_file():
            raise FileNotFoundError(f"Config file not found: {Path(config).resolve()}")  # as lm-eval says it
        told = read_yaml(read_bounded(Path(config), LARGEST_CONFIG, "configuration"), dict[str, Any], config)
        path = check(told.get("output_path"), str | None, f"{config}: output_path") if path is None else path
    if not path:
        return None
    return Path(path).parent if path.endswith(".json") else Path(path)


@contextmanager
def _called_with(arguments: Sequence[str]) -> Iterator[None]:
    """Set the arguments of the process, which lm-eval reads and changes, and restore them."""
    given = sys.argv
    sys.argv = ["lm-eval", *arguments]
    try:
        yield
    finally:
        sys.argv = given
