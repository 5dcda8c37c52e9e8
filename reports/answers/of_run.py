"""Find the answers of a saved run."""

from __future__ import annotations

from reports.answers.answer import Answer, Overall, find_answers, find_overall
from reports.answers.block import Block, compose
from reports.runs import Run


def answers_of(run: Run) -> list[Answer]:
    """Find what to do about each workload."""
    return find_answers(run.rows, run.manifest)


def overall_of(run: Run) -> Overall | None:
    """Find what to do about all workloads together; None of one."""
    return find_overall(answers_of(run), run.rows, run.manifest)


def block_of(run: Run) -> Block:
    """Compose the answer for a reader in a hurry."""
    return compose(run.rows, run.manifest, run.notices, str(run.path))
