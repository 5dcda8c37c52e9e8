"""The manifest of a run: everything needed to judge, repeat or resume it, typed and checked on reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, Self

from reports.run.descriptions import (
    Config,
    Decision,
    Environment,
    FollowUp,
    LoadDescription,
    ModelDescription,
    RiskDescription,
    RunnerDescription,
    Sweep,
    VerdictSettings,
)
from reports.statistics.levels import FIRST_LOOK, LAST_LOOK, AlphaShares
from reports.statistics.slo import Slo
from workloads.errors import UsageError
from workloads.reading import brief, check, keys
from workloads.reading.mistakes import HALVES

SCHEMA = 1
MOST_NAMES = 1_000
LONGEST_NAME = 5_000
DEEPEST = 32
REUSES_ENCODER = "encoder-cache"  # the method that reuses encoder output and nothing else


@keys("ignore")
@dataclass(frozen=True)
class Manifest:
    """What a run was. Parts that were added since the first version have defaults.

    Attributes:
        workloads: the fingerprint of each workload's stream.
        sweep: None for a run whose runners were not expanded over ratios.
        load: None for a run whose requests came one by one.
        decisions: of a run until decided, when each runner was; see ``Decision``.
        follow_up: what some runners were asked besides; nothing in most runs.
        created: when, in ISO 8601.
        document: all of it as it was written, what no field is made of, too.
    """

    config: Config
    workloads: dict[str, str]
    model: ModelDescription
    runners: tuple[RunnerDescription, ...]
    environment: Environment = field(default_factory=Environment)
    sweep: Sweep | None = None
    verdict: VerdictSettings = field(default_factory=VerdictSettings)
    load: LoadDescription | None = None
    decisions: tuple[Decision, ...] = ()
    follow_up: FollowUp = field(default_factory=FollowUp)
    created: str | None = None
    seed: int | None = None
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The label of the runner that the others are compared with."""
        return self.config["reference"]

    @property
    def labels(self) -> list[str]:
        """Of the runners, as given."""
        return [runner.label for runner in self.runners]

    @property
    def encoder_cache(self) -> str | None:
        """The label of the first runner that reuses encoder output alone; None without one."""
        return next((runner.label for runner in self.runners if runner.method == REUSES_ENCODER), None)

    @property
    def held_exact(self) -> list[str]:
        """Labels of the judged lossless runners, whose answers must be the reference's; none where that is lossy."""
        lossless = [runner.label for runner in self.runners if runner.lossless]
        if self.reference not in lossless:
            return []
        beside = (self.reference, *self.noise_arms, *self.analysis_only)
        return [label for label in lossless if label not in beside]

    def model_of(self, label: str) -> ModelDescription:
        """The model that a runner answers with: the run's, or that of its server, of which no more is known."""
        server = next((runner.server for runner in self.runners if runner.label == label), None)
        return self.model if server is None else ModelDescription(server.served, "server", "unknown")

    def spec(self, label: str) -> str:
        """What was given to --runner for a runner; its label where that is not known, or is the same."""
        given = self.config.get("runner")
        texts = [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
        return next((text for text in texts if f"name={label}" in text.partition("@")[2].split(",")), label)

    def reuses(self, label: str) -> bool:
        """Whether a runner takes anything over from earlier requests."""
        return next(runner.reuses for runner in self.runners if runner.label == label)

    def decision(self, workload: str, label: str) -> Decision | None:
        """When a runner was decided on a workload; None where it was not while the run went on."""
        found = (each for each in self.decisions if (each.workload, each.runner) == (workload, label))
        return next(found, None)

    @property
    def judged(self) -> list[str]:
        """Labels of the runners whose loss is a statistical question: all but the reference and the exact ones."""
        beside = {self.reference, *self.held_exact, *self.noise_arms, *self.analysis_only}
        return [label for label in self.labels if label not in beside]

    def alpha_shares(self, workload: str) -> dict[str, AlphaShares]:
        """The shares of alpha that bounds of each runner may err by; empty where that is all of it."""
        if workload not in self.follow_up.requests:
            return {}
        return {label: LAST_LOOK if self.follow_up.asks(workload, label) else FIRST_LOOK for label in self.labels}

    @property
    def sequential(self) -> bool:
        """Whether the run was stopped by what it saw: then only bounds that allow for looking hold."""
        return bool(self.config.get("until_decided", False))

    @property
    def slo(self) -> Slo | None:
        """What answers under load had to keep; None where nothing was asked for, or it cannot be read."""
        try:
            return None if self.verdict.slo is None else Slo.read(self.verdict.slo)
        except ValueError:
            return None

    def promised_risk(self, label: str) -> float | None:
        """The share of answers that a runner may change, see ``RunnerDescription``."""
        return next(runner.promised_risk for runner in self.runners if runner.label == label)

    def calibration(self, label: str) -> RiskDescription | None:
        """The model's calibration, if a runner stores media and ranks tokens as it was made for."""
        risk = self.model.profile.risk
        if risk is None or risk.donor is None:
            return risk
        options = next(runner.options for runner in self.runners if runner.label == label)
        ranks_so = risk.ranking is None or options.get("ranking", "auto") in ("auto", risk.ranking)
        return risk if options.get("donor") == risk.donor and ranks_so else None

    def risk_threshold(self, label: str) -> float | None:
        """The largest estimate with which a runner reuses something; None without promise or calibration."""
        risk, promised = self.calibration(label), self.promised_risk(label)
        return None if risk is None or promised is None else risk.threshold(promised)

    @property
    def analysis_only(self) -> list[str]:
        """Labels of the runners that look at what they are to save."""
        return [runner.label for runner in self.runners if runner.analysis_only]

    @property
    def noise_arms(self) -> list[str]:
        """Labels of the runners that do just what the reference does, in another order: their flips are rounding."""
        runners = {runner.label: runner for runner in self.runners}
        reference = runners.get(self.reference)
        if reference is None or reference.reuses:
            return []
        others = ((label, runner) for label, runner in runners.items() if label != self.reference)
        return [label for label, runner in others if not runner.reuses and runner.does_as(reference)]

    @classmethod
    def check(cls, document: Mapping[str, Any], origin: Path | str) -> Self:
        """The manifest in a JSON document, whatever version wrote it.

        Raises:
            UsageError: naming ``origin``, and what is missing or is something else; or there is more of something than
                any run has.
        """
        place = f"the manifest of {origin}"
        _require_plain(document, place)
        manifest = replace(check(document, cls, place), document=dict(document))
        for kind, names in (("runner", manifest.labels), ("workload", [*manifest.workloads])):
            if len(names) > MOST_NAMES:
                raise UsageError(f"{place} names {len(names)} {kind}s, and no run has more than {MOST_NAMES}")
            for name in names:
                if len(name) > LONGEST_NAME:
                    raise UsageError(f"{place} names a {kind} in more than {LONGEST_NAME} characters")
        if len(set(manifest.labels)) < len(manifest.labels):
            raise UsageError(f"{place} names two runners alike")
        if manifest.reference not in manifest.labels:
            raise UsageError(f"{place}: config.reference {brief(manifest.reference)} is none of its runners")
        return manifest


def _require_plain(document: object, place: str) -> None:
    """Refuse what no JSON document could hold again, and lists and mappings within one another without end."""
    level: list[object] = [document]
    for _ in range(DEEPEST):
        inner: list[object] = []
        for value in level:
            if isinstance(value, Mapping):
                inner += [*value, *value.values()]
            elif isinstance(value, list | tuple):
                inner += value
            elif isinstance(value, float) and not isfinite(value):
                raise UsageError(f"{place} holds a number that is not finite")
            elif isinstance(value, str) and HALVES.search(value):
                raise UsageError(f"{place} is not valid Unicode: it holds half of a character")
        level = inner
    if level:
        raise UsageError(f"{place}: lists and mappings are nested more than {DEEPEST} deep")
