"""The result of a gate as tables: what is required and was measured, why it is not met, how many requests would do."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from reports.gate.claim import Claim, GateResult, Outcome
from reports.tables import screen
from reports.tables.table import Note, Table, TableColumn

WORDS = {Outcome.PASS: "met", Outcome.FAIL: "violated", Outcome.UNDECIDED: "open"}
STYLES = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.UNDECIDED: "yellow"}
LABEL_WIDTH = 26


def render(result: GateResult) -> Group:
    """One table per workload, what is not met beneath it, the result last. Readable at ``screen.WIDTH`` characters."""
    parts: list[RenderableType] = []
    for workload in dict.fromkeys(claim.workload for claim in result.claims):
        claims = [claim for claim in result.claims if claim.workload == workload]
        parts += screen.section(_table(claims))
    parts.append(Text())
    if result.outlooks:
        share = f"{100 * result.outlooks[0].power:g} %"
        parts.append(Text(f"Requests of each workload with which the gate tells, in {share} of runs:", style="dim"))
        parts += [Text(f"  {outlook}", style="dim") for outlook in result.outlooks]
    parts += [Text(result.errors, style="dim"), Text()]
    parts += [Text(f"compared with {result.baseline}")] if result.baseline else []
    parts += [Text(f"differing, as allowed: {'; '.join(result.allowed)}")] if result.allowed else []
    parts.append(Text(result.line, style=STYLES[result.outcome]))
    return Group(*parts)


def _table(claims: list[Claim]) -> Table:
    columns = [
        TableColumn("runner", max_width=LABEL_WIDTH),
        *map(TableColumn, ("requirement", "required", "found", "")),
    ]
    return Table(
        title=claims[0].workload,
        columns=columns,
        rows=[
            (claim.runner, claim.about.title, claim.required, claim.measured, WORDS[claim.outcome]) for claim in claims
        ],
        styles={(place, len(columns) - 1): STYLES[claim.outcome] for place, claim in enumerate(claims)},
        notes=[_why(claim) for claim in claims if claim.outcome is not Outcome.PASS],
    )


def _why(claim: Claim) -> Note:
    text = f"{claim.runner}, {claim.about.title}: {claim.explanation}"
    return Note(text, STYLES[claim.outcome].removeprefix("bold "))
