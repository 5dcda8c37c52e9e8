"""``vlcache list``: what there is to choose from."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from vlcache_cli import console
from vlcache_cli.config.layers import describe_presets
from workloads.errors import UsageError, unknown_name

NARROWEST = 80


def list_names(
    what: Annotated[
        str | None,
        typer.Argument(metavar="WHAT", help="workloads, runners, models, metrics or presets.", show_default=False),
    ] = None,
) -> None:
    """List workloads, runners, models, presets, or the metrics of answers and columns of reports."""
    sections = {
        "workloads": _workloads,
        "runners": _runners,
        "models": _models,
        "metrics": _metrics,
        "presets": describe_presets,
    }
    if what is None:
        raise UsageError(f"name what to list: {', '.join(sections)}")
    if what not in sections:
        raise unknown_name("list", what, sections)
    _show(sections[what]())


def _workloads() -> Iterable[tuple[str, str]]:
    """Those that are built in, then data sets, then forms of names."""
    from workloads.registry import FORMS, WORKLOADS, dataset_meanings, load_workload, trace_meanings

    built_in = [(name, _summary(type(load_workload(name)))) for name in WORKLOADS]
    return [*built_in, *trace_meanings().items(), *dataset_meanings().items(), *FORMS.items()]


def _runners() -> Iterable[tuple[str, str]]:
    """Those that are built in with their default donor policy, then the forms of other names."""
    from runners.registry import FORMS, METHODS, default_donor, describe_method, is_default

    donors = {name: default_donor(name) for name in METHODS}
    methods = [
        (name, f"{describe_method(name)}{' Runs by default.' * is_default(name)}{f' Donors: {donor}.' * bool(donor)}")
        for name, donor in donors.items()
    ]
    return [*methods, *FORMS.items()]


def _models() -> Iterable[tuple[str, str]]:
    from runners.models.load import describe_models

    return list(describe_models().items())


def _metrics() -> Iterable[tuple[str, str]]:
    """Metrics that score an answer, then the columns of the summary."""
    from reports.summary.row import COLUMNS
    from workloads.scoring import METRICS, load_metric

    answers = [(name, _summary(load_metric(name))) for name in METRICS]
    columns = [(column.name, f"{column.meaning}{f' ({column.unit})' if column.unit else ''}") for column in COLUMNS]
    return [*answers, *columns]


def _summary(thing: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


def _show(entries: Iterable[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, meaning in entries:
        table.add_row(Text(name, style="bold"), Text(meaning))
    console.show(table, NARROWEST)
