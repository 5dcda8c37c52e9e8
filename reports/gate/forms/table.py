"""The result of a gate as tables: what is required and was measured, why it is not met, how many requests would do."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.gate.claim import Claim, GateResult, Outcome

WORDS = {Outcome.PASS: "met", Outcome.FAIL: "violated", Outcome.UNDECIDED: "open"}
STYLES = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.UNDECIDED: "yellow"}
LABEL_WIDTH = 26


def render(result: GateResult) -> Group:
    """One table per workload, what is not met beneath it, the result last. Readable at ``tables.WIDTH`` characters."""
    parts: list[RenderableType] = []
    for workload in dict.fromkeys(claim.workload for claim in result.claims):
        claims = [claim for claim in result.claims if claim.workload == workload]
        parts += [Text(f"\n{workload}\n", style="bold"), _table(claims)]
        parts += [_why(claim) for claim in claims if claim.outcome is not Outcome.PASS]
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
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("runner", overflow="fold", max_width=LABEL_WIDTH)
    for column in ("requirement", "required", "found", ""):
        table.add_column(column, overflow="fold")
    for claim in claims:
        outcome = Text(WORDS[claim.outcome], style=STYLES[claim.outcome])
        table.add_row(Text(claim.runner), claim.about.title, claim.required, claim.measured, outcome)
    return table


def _why(claim: Claim) -> Text:
    text = f"{claim.runner}, {claim.about.title}: {claim.explanation}"
    return Text(text, style=STYLES[claim.outcome].removeprefix("bold "))
