"""The parts of a manifest: what a run says of its model, runners, machine, load and verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Interval
from typing_extensions import TypedDict

from workloads.reading import in_one_line, keys

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
