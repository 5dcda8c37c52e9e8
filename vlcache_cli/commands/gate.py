"""``vlcache gate``: may this run's runners go on? The answer is the exit code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlcache_cli import console
from vlcache_cli.failures import ExitCode
from workloads.errors import unknown_name

if TYPE_CHECKING:
    from reports.gate.claim import GateResult

JUDGING, WRITING = "What is required", "Output"
ADVICE = "choose another place"


def gate(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run of vlcache bench or sweep.", show_default=False)
    ],
    policy: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with requirements (docs/ci.md).", rich_help_panel=JUDGING, show_default="built-in"
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="Earlier run to compare with: its folder, or what --json printed of it.",
            rich_help_panel=JUDGING,
            show_default=False,
        ),
    ] = None,
    allow_different: Annotated[
        list[str] | None,
        typer.Option(
            help="In what the baseline may differ: a comma list of model, workloads, device, libraries, runners.",
            rich_help_panel=JUDGING,
            show_default=False,
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write JUnit XML to this file.", rich_help_panel=WRITING, show_default=False)
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Write Markdown to this file, for a comment.", rich_help_panel=WRITING, show_default=False),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of tables.", rich_help_panel=WRITING)
    ] = False,
) -> None:
    """Judge a run for CI: exit code 0 if it meets all that is required, 1 if it does not, 3 if too little was asked."""
    from reports.gate.gate import judge_folder
    from reports.run.disk import require_distinct

    require_distinct({"--junit": junit, "--markdown": markdown}, {"--policy": policy, "--baseline": baseline})
    allowed = _kinds(allow_different or [])
    judged = judge_folder(run, policy, baseline, allowed)
    result = judged.result
    _write(result, junit, markdown)
    if json:
        from reports.forms.json import summary_document

        console.show_text(summary_document(judged.manifest, judged.rows, gate=result.to_json()))
    else:
        from reports.forms.table import WIDTH
        from reports.gate.forms.table import render

        console.show(render(result), WIDTH)
    raise typer.Exit(exit_code(result))


def exit_code(result: GateResult) -> ExitCode:
    """The exit code; a violation outweighs failed requests, and these what is undecided."""
    from reports.gate.claim import Outcome

    if result.outcome is Outcome.FAIL:
        return ExitCode.GATE_FAILS
    if result.failed_requests:
        return ExitCode.REQUESTS_FAILED
    return ExitCode.UNDECIDED if result.outcome is Outcome.UNDECIDED else ExitCode.OK


def _kinds(texts: list[str]) -> list[str]:
    from reports.run.differences import KINDS

    kinds = [part.strip() for text in texts for part in text.split(",")]
    for kind in kinds:
        if kind not in KINDS:
            raise unknown_name("kind in --allow-different", kind, KINDS)
    return kinds


def _write(result: GateResult, junit: Path | None, markdown: Path | None) -> None:
    """The files that were asked for, and what GitHub Actions reads."""
    from reports.gate.forms.annotations import to_annotations
    from reports.gate.forms.junit import to_junit
    from reports.gate.forms.markdown import to_markdown
    from reports.run.disk import append_to_file, write_file

    if junit is not None:
        write_file(junit, to_junit(result).encode(errors="replace"), ADVICE)
    if markdown is not None:
        write_file(markdown, to_markdown(result).encode(errors="replace"), ADVICE)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        append_to_file(Path(summary), to_markdown(result).encode(errors="replace"), ADVICE)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in to_annotations(result):
            console.annotate(line)
