"""What a gate requires: rules, the defaults beneath them, and which rule holds for which runner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from reports.gate.requirements import REQUIREMENTS, Limits
from reports.run.descriptions import RunnerDescription
from workloads.errors import UsageError, unknown_name

ANY = "*"
SMALLEST_ALPHA, LARGEST_ALPHA = 1e-6, 0.4

MEDIA_HITS = 0.9
KV_HITS = 0.5
BASELINE_LIMITS: Limits = {"max_slowdown": 0.1, "max_hit_rate_drop": 0.02, "max_recompute_rise": 0.02}


@dataclass(frozen=True)
class Rule:
    """Limits for the workloads and runners whose names match; ``*`` in a name stands for anything."""

    limits: Limits
    workload: str = ANY
    runner: str = ANY

    def holds_for(self, workload: str, runner: str) -> bool:
        """Whether the rule is about this pair."""
        return _matches(self.workload, workload) and _matches(self.runner, runner)


@dataclass(frozen=True)
class Policy:
    """What is required.

    Attributes:
        origin: where it stands; None where no file was given.
        alpha: see ``judge.judge_run``; None: the run's own.
        workloads, runners: names of those that are judged; all that can be where empty.
        rules: a later one wins over an earlier one, key by key.
    """

    origin: str | None = None
    alpha: float | None = None
    workloads: tuple[str, ...] = ()
    runners: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = field(default=())

    def limits(self, workload: str, runner: str, defaults: Limits) -> dict[str, float]:
        """What holds for a runner on a workload: the rules about it, upon ``defaults``."""
        effective = dict(defaults)
        for rule in self.rules:
            if rule.holds_for(workload, runner):
                effective |= rule.limits
        return {key: limit for key, limit in effective.items() if limit is not None}

    def judges(self, workload: str, runner: str) -> bool:
        """Whether the policy is about a runner on a workload at all."""
        return _among(workload, self.workloads) and _among(runner, self.runners)

    def require_known(self, workloads: Iterable[str], runners: Iterable[str]) -> None:
        """Check that every name in the policy is one of the run's.

        Raises:
            UsageError: naming the first that is not, and the nearest that is.
        """
        for kind, names, known in (
            ("workload", (*self.workloads, *(rule.workload for rule in self.rules)), list(workloads)),
            ("runner", (*self.runners, *(rule.runner for rule in self.rules)), list(runners)),
        ):
            for name in names:
                if not any(_matches(name, other) for other in known):
                    raise UsageError(f"{self.origin}: {unknown_name(kind, name, known)}; the run has no other to judge")

    @property
    def wants_baseline(self) -> str | None:
        """The first key of a rule that compares with a baseline."""
        keys = (key for rule in self.rules for key, limit in rule.limits.items() if limit is not None)
        return next((key for key in keys if REQUIREMENTS[key].against_baseline), None)


def default_limits(runner: RunnerDescription, margin: float) -> Limits:
    """What is required of a runner where no policy says otherwise, by its description in the manifest.

    Accuracy within the run's own margin; of a lossless method, the reference's answers and no other. Of what reuses,
    stores that work: nine of ten recurring media come from one, which only evictions prevent. Of a lossy method
    besides, that it is worth its risk: it is no slower than the reference, and reuses K, V of every second recurring
    medium, unless it was told to compute everything. What servers reuse is for them to tell, and is not required.
    """
    limits: Limits = {"max_differences": 0} if runner.lossless else {"margin": margin}
    if runner.reuses and not runner.is_server:
        limits["min_hit_rate"] = MEDIA_HITS
    if not runner.lossless:
        limits["min_speedup"] = 1.0
        if runner.options.get("ratio") != 1 and not runner.is_server:
            limits["min_kv_hit_rate"] = KV_HITS
    return limits


def baseline_limits(margin: float) -> Limits:
    """What is required against a baseline where no policy says otherwise."""
    return {"max_accuracy_drop": margin, **BASELINE_LIMITS}


def _among(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(_matches(pattern, name) for pattern in patterns)


def _matches(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern.replace("[", "[[]").replace("?", "[?]"))
