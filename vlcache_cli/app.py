"""The ``vlcache`` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from vlcache_cli.commands import bench, doctor, gate, lm_eval, profile, report, sweep
from vlcache_cli.commands import list as listing
from vlcache_cli.failures import ExitCode, RunStopped, crashed, interrupted
from workloads.errors import UsageError

app = typer.Typer(name="vlcache", add_completion=False, pretty_exceptions_show_locals=False)
app.command("bench")(bench.bench)
app.command("sweep")(sweep.sweep)
app.command("profile")(profile.profile)
app.command("gate")(gate.gate)
app.command("report")(report.report)
app.command("lm-eval", add_help_option=False, context_settings=lm_eval.AS_THEY_ARE)(lm_eval.lm_eval)
app.command("list")(listing.list_names)
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def vlcache(context: typer.Context) -> None:
    """Measure how much faster a vision-language model answers when recurring media are reused, and what that costs."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (those of the process by default) and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(given, prog_name="vlcache", standalone_mode=False)
    except UsageError as error:
        return _fail(str(error), ExitCode.USAGE)
    except typer.TyperException as error:
        return _fail(error.format_message(), ExitCode.USAGE)
    except RunStopped as stop:
        return _stopped(stop.__cause__ or stop, stop.folder, given)
    except Exception as error:
        return _stopped(error, None, given)
    if code == ExitCode.INTERRUPTED:
        return _fail(interrupted(given, None), ExitCode.INTERRUPTED)
    return code or ExitCode.OK


def _stopped(cause: BaseException, folder: Path | None, arguments: Sequence[str]) -> int:
    if isinstance(cause, KeyboardInterrupt):
        return _fail(interrupted(arguments, folder), ExitCode.INTERRUPTED)
    return _fail(crashed(cause, folder), ExitCode.INTERNAL)


def _fail(line: str, code: ExitCode) -> int:
    typer.secho(f"vlcache: {line}", err=True, fg=typer.colors.RED)
    return code
