"""The ``vlcache`` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from runners.parallel.failures import code_told_elsewhere
from runners.ranks import RankLost, RanksDiffer
from vlcache_cli import console
from vlcache_cli.commands import bench, cache, doctor, gate, lm_eval, profile, report, sweep
from vlcache_cli.commands import list as listing
from vlcache_cli.failures import ExitCode, RunStopped, crashed, interrupted, refused
from vlcache_cli.signals import ending_on_signals
from vlcache_cli.terminal import guarded_streams
from workloads.errors import UsageError, quoted
from workloads.printable import on_one_line

LONGEST_LINE = 2000

app = typer.Typer(name="vlcache", add_completion=False, pretty_exceptions_show_locals=False)
app.command("bench")(bench.bench)
app.command("sweep")(sweep.sweep)
app.command("profile")(profile.profile)
app.command("gate")(gate.gate)
app.command("report")(report.report)
app.command("lm-eval", add_help_option=False, context_settings=lm_eval.AS_THEY_ARE)(lm_eval.lm_eval)
app.command("list")(listing.list_names)
app.command("doctor")(doctor.doctor)
app.add_typer(cache.app)


@app.callback(invoke_without_command=True)
def vlcache(context: typer.Context) -> None:
    """Measure how much faster a vision-language model answers when recurring media are reused, and what that costs."""
    if context.invoked_subcommand is None:
        console.show_text(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (those of the process by default) and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with guarded_streams(), ending_on_signals():
        return _run(given)


def _run(given: Sequence[str]) -> int:
    """Run a command line; whatever it ends with becomes a line on stderr and an exit code."""
    try:
        _require_usable(given)
        code = app(list(given), prog_name="vlcache", standalone_mode=False)
        sys.stdout.flush()  # what cannot be written is told now
    except UsageError as error:
        return _refused(str(error))
    except typer.TyperException as error:
        return _refused(error.format_message())
    except RunStopped as stop:
        return _stopped(stop.__cause__ or stop, stop.folder, given)
    except SystemExit as stop:  # of a library; typer's, of a broken pipe that is none of stdout, has exit code 1
        return _stopped(stop.__context__ or stop, None, given)
    except (Exception, KeyboardInterrupt) as error:
        return _stopped(error, None, given)
    if code == ExitCode.INTERRUPTED:
        return _fail(interrupted(given, None), ExitCode.INTERRUPTED)
    return code or ExitCode.OK


def _require_usable(arguments: Sequence[str]) -> None:
    """Refuse what no command can work with; UsageError says what."""
    for argument in arguments:
        if "\0" in argument:
            raise UsageError(f"the argument {quoted(argument)} holds a null character")
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError(f"the working folder cannot be used ({error.strerror}): change to another one") from error


def _stopped(cause: BaseException, folder: Path | None, arguments: Sequence[str]) -> int:
    if isinstance(cause, KeyboardInterrupt):
        return _fail(interrupted(arguments, folder), ExitCode.INTERRUPTED)
    if isinstance(cause, RankLost | RanksDiffer):
        return _fail(str(cause), ExitCode.INTERNAL)
    if isinstance(cause, OSError) and (refusal := refused(cause)):
        return _refused(refusal)
    return _fail(crashed(cause, folder), ExitCode.INTERNAL)


def _refused(text: str) -> int:
    line = on_one_line(text)
    return _fail(line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}...", ExitCode.USAGE)


def _fail(text: str, code: ExitCode) -> int:
    """Tell why a command ends; of processes that share a model, one tells it for all."""
    told = code_told_elsewhere(code, interrupted=code == ExitCode.INTERRUPTED)
    if told is not None:
        return told
    console.fail(text)
    return code
