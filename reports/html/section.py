"""Collect everything that the page has to say of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.answers.answer import Answer, Overall
from reports.answers.block import Block
from reports.answers.of_run import answers_of, block_of, overall_of
from reports.html.calibration import calibration
from reports.html.chart import ChartGroup
from reports.html.curves import curves
from reports.html.flip_cards import Explorer, explore
from reports.html.hits import hits
from reports.html.pareto_chart import pareto
from reports.html.representatives import representatives
from reports.html.times import parts, spreads
from reports.html.verdicts import verdicts
from reports.run.frame import without_times
from reports.runs import Run
from reports.tables.load import load_table, times_table
from reports.tables.repair import repair_table
from reports.tables.servers import server_table
from reports.tables.table import Table


@dataclass(frozen=True)
class Section:
    """One run, ready to be shown.

    Attributes:
        name: of its elements in the page.
        answers: one for each workload; ``overall`` for all of them, ``block`` for a reader in a hurry.
        representatives: by workload the runners of the short table; the drawings show them, too.
        load: rates and goodput under load, and percentiles of times; without rows where requests came one by one.
        servers: what servers had cached; without rows where none answered.
        repair: what runners that promise a risk decided and changed; without rows where none does.
        spreads, parts, hits, verdicts, calibration, curves, pareto: the drawings.
    """

    run: Run
    name: str
    overall: Overall | None
    answers: Sequence[Answer]
    block: Block
    representatives: dict[str, list[str]]
    verdicts: Sequence[ChartGroup]
    load: tuple[Table, Table]
    servers: Table
    repair: Table
    calibration: Sequence[ChartGroup]
    curves: Sequence[ChartGroup]
    pareto: Sequence[ChartGroup]
    spreads: Sequence[ChartGroup]
    parts: Sequence[ChartGroup]
    hits: Sequence[ChartGroup]
    explorer: Explorer

    @property
    def headline(self) -> Answer | Overall:
        """The answer for all workloads, or for the only one."""
        return self.overall or self.answers[0]

    @property
    def about(self) -> str:
        """What was measured, in a line."""
        model, created = self.run.manifest.model, self.run.manifest.created
        when = f", measured {str(created)[:10]}" if created else ""
        return (
            f"{model.name} in {model.dtype} on {model.device}, {self.requests} requests, "
            f"{len(self.run.labels)} runners{when}"
        )

    @property
    def version(self) -> str:
        """Of the program that measured; empty when unknown."""
        return dict(self.libraries).get("vlcache", "")

    @property
    def runners(self) -> list[tuple[str, str, str, str]]:
        """Label, method, whether it changes no answer, and the options it was given."""
        return [
            (
                runner.label,
                runner.method,
                "yes" if runner.lossless else "",
                ", ".join(f"{key}={value}" for key, value in runner.options.items()),
            )
            for runner in self.run.manifest.runners
        ]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The environment in short."""
        manifest = self.run.manifest
        model, environment = manifest.model, manifest.environment
        facts = {
            "Model": f"{model.name}, {model.dtype}",
            "Device": ", ".join(filter(None, (model.device, model.device_name))),
            "Threads": model.threads,
            "Measured": manifest.created,
            "Seed": manifest.seed,
            "Reference": self.run.reference,
            "Machine": environment.platform,
            "Processors": environment.cpus,
            "Python": environment.python,
            "Commit": environment.git_commit,
        }
        return [(name, str(value)) for name, value in facts.items() if value not in (None, "")]

    @property
    def libraries(self) -> list[tuple[str, str]]:
        """Name and version."""
        libraries = self.run.manifest.environment.libraries
        return [(str(name), str(version)) for name, version in libraries.items() if version is not None]

    @property
    def requests(self) -> int:
        """Of all workloads."""
        return sum(max(row.requests for row in self.run.rows_of(workload)) for workload in self.run.workloads)


def section(run: Run, name: str, with_media: bool) -> Section:
    """Draw everything of one run; ``name`` tells its elements from those of other runs."""
    frame = without_times(run.frame, run.manifest.analysis_only)
    return Section(
        run=run,
        name=name,
        overall=overall_of(run),
        answers=answers_of(run),
        block=block_of(run),
        representatives={
            workload: representatives(run.trade_off.of(workload), run.trade_off.recommended[workload])
            for workload in run.workloads
        },
        verdicts=verdicts(run, name),
        load=(load_table(run.rows), times_table(run.rows)),
        servers=server_table(run.rows),
        repair=repair_table(run.rows),
        calibration=calibration(run, frame, name),
        curves=curves(run, name),
        pareto=pareto(run, name),
        spreads=spreads(run, frame, name),
        parts=parts(run, frame, name),
        hits=hits(run, frame, name),
        explorer=explore(run, with_media, name),
    )
