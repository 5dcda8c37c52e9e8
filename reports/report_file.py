"""The forms a report comes in, and the file it is written to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.profile.saved import Profile
from reports.run.disk import write_file
from reports.runs import Run


@dataclass(frozen=True)
class Form:
    """One form of a report.

    Attributes:
        suffix: of its files.
        printed: whether it goes to the screen where no file is named.
        records: whether it can hold the records in place of the summary.
    """

    suffix: str
    printed: bool = True
    records: bool = False


FORMS: Mapping[str, Form] = {
    "table": Form(".txt"),
    "csv": Form(".csv", records=True),
    "parquet": Form(".parquet", printed=False, records=True),
    "json": Form(".json"),
    "md": Form(".md"),
    "html": Form(".html", printed=False),
}


@dataclass(frozen=True)
class Wanted:
    """What a report is to hold besides the summary.

    Attributes:
        records: one line for each request and runner in place of the summary.
        profile: whose error map an HTML page shows.
        media: whether an HTML page shows pictures.
    """

    records: bool = False
    profile: Profile | None = None
    media: bool = True


def write(runs: Sequence[Run], form: str, wanted: Wanted) -> bytes:
    """The report in a form, a key of ``FORMS`` other than ``table``."""
    writers: Mapping[str, Callable[[Sequence[Run], Wanted], bytes]] = {
        "csv": _csv,
        "parquet": _parquet,
        "json": _json,
        "md": _markdown,
        "html": _html,
    }
    return writers[form](runs, wanted)


def form_of(form: str | None, output: Path | None) -> str:
    """The form that was asked for, else the one that the file's name tells, else ``table``."""
    if form is not None:
        return form
    suffix = output.suffix.lower() if output is not None else ""
    return next((name for name, known in FORMS.items() if known.suffix == suffix), "table")


def save(file: Path, data: bytes) -> None:
    """Write a report, in one go: a file is the old one or the whole new one.

    Raises:
        UsageError: the disk refuses, or the file belongs to a run.
    """
    write_file(file, data, "choose another --output")


def _csv(runs: Sequence[Run], wanted: Wanted) -> bytes:
    from reports.forms import flat

    return flat.to_csv(flat.record_frame(runs) if wanted.records else flat.summary_frame(runs)).encode()


def _parquet(runs: Sequence[Run], wanted: Wanted) -> bytes:
    from reports.forms import flat

    return flat.to_parquet(flat.record_frame(runs) if wanted.records else flat.summary_frame(runs))


def _json(runs: Sequence[Run], wanted: Wanted) -> bytes:
    from reports.forms.json import to_json

    return (to_json(runs) + "\n").encode()


def _markdown(runs: Sequence[Run], wanted: Wanted) -> bytes:
    from reports.forms.markdown import to_markdown

    return to_markdown(runs).encode()


def _html(runs: Sequence[Run], wanted: Wanted) -> bytes:
    from reports.html.page import render

    return render(runs, wanted.profile, wanted.media).encode(errors="replace")
