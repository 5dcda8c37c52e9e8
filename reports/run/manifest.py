"""The manifest of a run: everything needed to judge, repeat or resume it, typed and checked on reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Self

from annotated_types import Interval
from typing_extensions import TypedDict

from reports.statistics.levels import FIRST_LOOK, LAST_LOOK, AlphaShares
from reports.statistics.slo import Slo
from workloads.errors import UsageError
from workloads.reading import brief, check, in_one_line, keys
from workloads.reading.mistakes import HALVES

SCHEMA = 1
MOST_NAMES = 1_000
LONGEST_NAME = 5_000
DEEPEST = 32
REUSES_ENCODER = "encoder-cache"  # the method that reuses encoder output and nothing else
SERVER = "endpoint"  # the method of a runner that is a server
COLD = "cold"  # the option ``state`` of a server that keeps nothing from request to request
RECOMPUTES_ALL = "full"  # the method that reuses nothing, for manifests of versions that do not say so themselves

Share = Annotated[float, Interval(gt=0, lt=1)]
Ceiling = Annotated[float, Interval(gt=0, lt=1e30)]


@keys("keep")
class Config(TypedDict):
    """The resolved configuration without what only concerns presentation; more keys than these.

    Attributes:
        reference: the label of the runner that the others are compared with.
    """

    reference: str


@keys("ignore")
@dataclass(frozen=True)
class PromiseDescription:
    """The largest estimate with which a risk was promised, see ``runners.risk.model.Promise``."""

    risk: Annotated[float, Interval(ge=0, le=1)]
    threshold: Annotated[float, Interval(ge=0, le=1)]


@keys("ignore")
@dataclass(frozen=True)
class RiskDescription:
    """What the risk of a model was calibrated on, see ``runners.risk.model.RiskModel``; promises ascend by risk.

    Attributes:
        donor: context in which media were stored; None in old runs, whose runners all had that of the calibration.
        ranking: of the tokens to compute first; None in old runs, likewise.
    """

    families: tuple[str, ...]
    requests: int
    promises: tuple[PromiseDescription, ...] = ()
    donor: str | None = None
    ranking: str | None = None

    @property
    def description(self) -> str:
        """What it was calibrated on, in words."""
        return in_one_line(f"{self.requests} requests of {', '.join(self.families)}")

    def threshold(self, risk: float) -> float:
        """Find the largest estimate with which something is reused at a risk; 0 where nothing is."""
        return next((promise.threshold for promise in reversed(self.promises) if promise.risk <= risk), 0.0)


@keys("ignore")
@dataclass(frozen=True)
class ProfileDescription:
    """What was measured of a model, as far as reports need it; ``risk`` is None where it was not calibrated."""

    risk: RiskDescription | None = None


@keys("ignore")
@dataclass(frozen=True)
class Ceilings:
    """What a device can do at most, see ``runners.engine.measure.roofline``; old runs did not measure the host's."""

    flops_per_s: Ceiling
    bytes_per_s: Ceiling
    host_bytes_per_s: Ceiling | None = None


@keys("ignore")
@dataclass(frozen=True)
class ModelDescription:
    """The model of a run, see ``LoadedModel.describe``.

    Attributes:
        random_weights: whether answers mean nothing.
        ceilings: what the device can do at most, see ``summary.floor``; None where that was not measured.
    """

    name: str
    device: str
    dtype: str
    random_weights: bool = False
    device_name: str | None = None
    threads: int | None = None
    ceilings: Ceilings | None = None
    profile: ProfileDescription = ProfileDescription()


@keys("ignore")
@dataclass(frozen=True)
class ServerDescription:
    """What a server was found to be, see ``runners.endpoint.server.Abilities``."""

    served: str
    version: str | None = None


@keys("ignore")
@dataclass(frozen=True)
class RunnerDescription:
    """One runner of a run, see ``Runner.describe``.

    Attributes:
        lossless: whether it changes no answer by construction.
        analysis_only: whether it is a reference that looks at what it is to save: it has no times and no verdict.
        options: of its method.
        promised_risk: share of answers that it may change; None where it promises nothing.
        server: None of a method in the built-in engine.
    """

    label: str
    method: str
    lossless: bool
    analysis_only: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    promised_risk: Share | None = None
    server: ServerDescription | None = None

    @property
    def is_server(self) -> bool:
        """Whether a server answers."""
        return self.method == SERVER

    @property
    def reuses(self) -> bool:
        """Whether it takes anything over from earlier requests."""
        return self.options.get("state") != COLD if self.is_server else self.method != RECOMPUTES_ALL

    def does_as(self, other: RunnerDescription) -> bool:
        """Whether it does the very work of another, in the same place."""
        return self.is_server == other.is_server and self.options.get("url") == other.options.get("url")


@keys("ignore")
@dataclass(frozen=True)
class Environment:
    """The machine and the software, apart from what the model's description says of its device."""

    libraries: dict[str, str | None] = field(default_factory=dict)
    python: str | None = None
    platform: str | None = None
    cpus: int | None = None
    git_commit: str | None = None  # of vlcache


@keys("ignore")
@dataclass(frozen=True)
class SweptRunner:
    """Where a runner of a sweep comes from: the runner that was given, and the ratio; None where that takes none."""

    family: str
    ratio: float | None = None


@keys("ignore")
@dataclass(frozen=True)
class Sweep:
    """The runners of a sweep, by label."""

    runners: dict[str, SweptRunner] = field(default_factory=dict)


@keys("ignore")
@dataclass(frozen=True)
class VerdictSettings:
    """What the verdicts of the run itself were made with."""

    margin: Share | None = None
    alpha: Share | None = None
    slo: str | None = None


@keys("ignore")
@dataclass(frozen=True)
class AtRate:
    """A runner at one of several rates, in requests a second; ``family`` is its label without the rate."""

    family: str
    rate: Ceiling


@keys("ignore")
@dataclass(frozen=True)
class LoadDescription:
    """How requests arrived while others were answered.

    Attributes:
        request_rate: a second, of an open loop, the highest of several; None of a closed one.
        rates: of several open loops, by the labels of the runners.
        concurrency: under way at once, of a closed loop.
        clients: processes that asked servers.
        ceiling_rps: requests a second that they can send together; None where no server was asked.
    """

    request_rate: Ceiling | None = None
    rates: dict[str, AtRate] = field(default_factory=dict)
    concurrency: int | None = None
    arrivals: str = "poisson"
    clients: Annotated[int, Interval(ge=1)] = 1
    ceiling_rps: Annotated[float, Interval(ge=0, lt=1e30)] | None = None

    def rate_of(self, label: str) -> float | None:
        """The rate at which a runner was asked; None of a closed loop."""
        return self.rates[label].rate if label in self.rates else self.request_rate


@keys("ignore")
@dataclass(frozen=True)
class Decision:
    """When a runner was decided at the run's margin, while the run went on.

    Attributes:
        requests: that it had answered.
        separate: clusters among them, of which one request each was compared.
        seconds: since the workload began, all runners together.
    """

    workload: str
    runner: str
    verdict: str
    requests: int
    separate: int
    seconds: float


@keys("ignore")
@dataclass(frozen=True)
class FollowUp:
    """Requests of a run that, besides the reference, one runner is asked, chosen after the first ones.

    Attributes:
        requests: how many, by workload; those that have none are not named.
        chosen: the label of that runner, by workload; those for which none was are not named. None before the choice.
        begins: with what the ids of these requests begin; None in runs of an earlier version.
    """

    requests: dict[str, int] = field(default_factory=dict)
    chosen: dict[str, str] | None = None
    begins: str | None = None

    def asks(self, workload: str, label: str) -> bool:
        """Whether a runner was chosen."""
        return self.chosen is not None and self.chosen.get(workload) == label


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
    environment: Environment = Environment()
    sweep: Sweep | None = None
    verdict: VerdictSettings = VerdictSettings()
    load: LoadDescription | None = None
    decisions: tuple[Decision, ...] = ()
    follow_up: FollowUp = FollowUp()
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
