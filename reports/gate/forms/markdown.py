"""The result of a gate as Markdown: the comment on a pull request, and the summary of a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.gate.claim import Claim, GateResult, Outcome
from reports.tables.markdown import plain

MARKER = "<!-- vlcache gate -->"
SIGNS = {Outcome.PASS: "✅ met", Outcome.FAIL: "❌ violated", Outcome.UNDECIDED: "❔ open"}
MOST_ROWS = 60  # GitHub takes 65,536 characters in a comment


def to_markdown(result: GateResult) -> str:
    """What is not met first, then all of it folded away; begins with ``MARKER``, by which a bot finds its comment."""
    lines = [MARKER, f"### vlcache: {plain(result.line)}", ""]
    unmet = [*result.of(Outcome.FAIL), *result.of(Outcome.UNDECIDED)]
    if unmet:
        lines += [*_table(unmet, ("required", "found", "why")), ""]
    lines += ["<details><summary>All requirements</summary>", ""]
    lines += [*_table(result.claims, ("required", "found")), ""]
    if result.outlooks:
        share = f"{100 * result.outlooks[0].power:g} %"
        lines += [f"Requests of each workload with which the gate tells, in {share} of runs:", ""]
        lines += [*(f"- {plain(str(outlook))}" for outlook in result.outlooks), ""]
    lines += ["</details>", "", plain(result.errors)]
    if result.baseline:
        lines += ["", f"Compared with {plain(result.baseline)}."]
    if result.allowed:
        lines += ["", f"Differing, as allowed: {plain('; '.join(result.allowed))}."]
    return "\n".join(lines) + "\n"


def _table(claims: Sequence[Claim], columns: Sequence[str]) -> Iterator[str]:
    yield f"| | workload | runner | requirement | {' | '.join(columns)} |"
    yield f"|{'---|' * (4 + len(columns))}"
    for claim in claims[:MOST_ROWS]:
        columns_of = {"required": claim.required, "found": claim.measured, "why": claim.explanation}
        cells = (claim.workload, claim.runner, claim.about.title, *(columns_of[column] for column in columns))
        yield f"| {SIGNS[claim.outcome]} | {' | '.join(map(plain, cells))} |"
    if len(claims) > MOST_ROWS:
        yield f"| | and {len(claims) - MOST_ROWS} more |{' |' * (2 + len(columns))}"
