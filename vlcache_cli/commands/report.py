"""``vlcache report``: saved runs as tables, files and pages, alone or side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reports.forms.registry import FORMS, choose_form, load_form
from reports.statistics.levels import DEFAULT_ALPHA, DEFAULT_MARGIN
from vlcache_cli import console
from vlcache_cli.config import readers
from workloads.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from rich.console import RenderableType

    from reports.profile.saved import Profile

CONTENT, OUTPUT = "What is told", "Output"


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folders of runs of vlcache bench or sweep; a folder of vlcache profile adds its error map.",
            show_default=False,
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORM",
            help=f"Form of the report: {', '.join(FORMS)}.",
            rich_help_panel=OUTPUT,
            show_default="as --output ends, else table",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="File to write.",
            rich_help_panel=OUTPUT,
            show_default="the screen; report.html and report.parquet in the first RUN",
        ),
    ] = None,
    records: Annotated[
        bool,
        typer.Option(
            "--records",
            help="One line per request and runner in place of the summary: csv and parquet.",
            rich_help_panel=CONTENT,
        ),
    ] = False,
    margin: Annotated[
        float, typer.Option(help="A loss of accuracy as large as this is too much.", rich_help_panel=CONTENT)
    ] = DEFAULT_MARGIN,
    alpha: Annotated[
        float, typer.Option(help="Intervals have the confidence 1 - alpha.", rich_help_panel=CONTENT)
    ] = DEFAULT_ALPHA,
    no_media: Annotated[
        bool, typer.Option("--no-media", help="Keep pictures out of the HTML page.", rich_help_panel=CONTENT)
    ] = False,
) -> None:
    """Show saved runs again, as tables, files or one HTML page; several are compared with the first."""
    from reports.forms.form import ReportOptions
    from reports.report_file import save, write
    from reports.runs import read_runs

    _require_known(form)
    if records:
        _require_holding_records(choose_form(form, output))
    folders, profile = _sorted(runs)
    read = read_runs(folders, _share("--margin", margin), _share("--alpha", alpha))
    chosen = choose_form(form, output)  # loads pandas, and so follows what is read
    known = load_form(chosen)
    if output is None and not known.printed:
        output = folders[0] / f"report{known.suffix}"
    if output is None and known.render is not None:
        _show(known.render(read))
    else:
        shown = profile or (_beside(folders) if known.shows_profile else None)
        document = write(read, chosen, ReportOptions(records, shown, not no_media))
        if output is None:
            console.show_text(document.decode().removesuffix("\n"))
        else:
            save(output, document)
    if output is not None:
        console.note(f"report kept in {output}")


def _require_known(form: str | None) -> None:
    if form is not None and form not in FORMS:
        raise unknown_name("--format", form, FORMS)


def _require_holding_records(form: str) -> None:
    if load_form(form).holds_records:
        return
    holders = [name for name in FORMS if load_form(name).holds_records]
    raise UsageError(f"--records goes into {' and '.join(holders)} files, not into {form}; add --format {holders[0]}")


def _share(flag: str, value: float) -> float:
    try:
        share: float = readers.between_0_and_1(value)
    except ValueError as error:
        raise UsageError(f"{flag} {error}") from error
    return share


def _sorted(paths: Sequence[Path]) -> tuple[list[Path], Profile | None]:
    """Folders of runs, and what the folder of a profile among them holds."""
    from reports.profile.folder import ProfileFolder
    from reports.run.store import RunFolder

    profiles = [
        path for path in paths if ProfileFolder(path).errors.is_file() and not RunFolder(path).manifest_path.exists()
    ]
    if len(profiles) > 1:
        raise UsageError(f"{profiles[1]} is a second profile: a report shows the error map of one model; name one")
    folders = [path for path in paths if path not in profiles]
    if not folders:
        raise UsageError(f"{paths[0]} is a profile, not a run: name the folder of a bench or sweep before it")
    if not profiles:
        return folders, None
    from reports.profile.saved import read_profile

    return folders, read_profile(profiles[0])


def _beside(folders: Sequence[Path]) -> Profile | None:
    """The profile that lies in or beside the first run's folder."""
    from reports.profile.saved import find_profile, read_profile

    path = find_profile(folders[0])
    return read_profile(path) if path is not None else None


def _show(tables: RenderableType) -> None:
    from reports.forms.table import WIDTH

    console.show(tables, WIDTH)
