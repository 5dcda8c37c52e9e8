"""The command line over fakes: no weights, no engine, but real configuration, workloads, records and reports."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runners.engine.media.sampling import DEFAULT_SAMPLING, FrameSampling
from runners.records import CacheStats, Record, Status, Timing, Warmth
from runners.session import COMPUTED_BY_ALL, requests_of, turns_of
from vlcache_cli.app import main
from workloads.records import Conversation

SPEED = {"full": 1.0, "prefix-cache": 0.5, "vlcache": 0.25}


@dataclass
class World:
    """What the fakes did, and what they are to do.

    Attributes:
        failing: status of the requests of runner ``vlcache`` that fail, by request.
        stop_with, stop_after: what breaks off the run after how many records.
        fingerprint: of the model.
        loaded: how often the model was loaded.
        options: what else it was last loaded with: dtype, device, profile, device map and attention.
        sampling: which frames of videos it was to look at.
        revision: what was asked for of it.
        random_weights: whether it has no others.
        served: keys of the records that were measured.
        replayed: keys of the finished records that ``serve`` was told of.
        spared: whether ``serve`` was told to spare the reference, every time it was called.
    """

    failing: dict[str, Status] = field(default_factory=dict)
    stop_with: BaseException | None = None
    stop_after: int = 0
    fingerprint: str = "f0"
    loaded: int = 0
    options: tuple[Any, ...] = ()
    sampling: FrameSampling = DEFAULT_SAMPLING
    revision: str | None = None
    random_weights: bool = False
    served: list[str] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)
    spared: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class FakeRunner:
    label: str
    method: str

    def describe(self) -> dict[str, Any]:
        return {"label": self.label, "method": self.method, "lossless": self.method in ("full", "prefix-cache")}


def build_runners(specs: Any, model: Any, reference: str, adopt: bool, disk: Any) -> list[FakeRunner]:
    assert isinstance(adopt, bool)
    assert reference in [spec.label for spec in specs]
    return [FakeRunner(spec.label, spec.method) for spec in specs]


@dataclass(frozen=True)
class FakeModel:
    fingerprint: str
    random_weights: bool

    def describe(self) -> dict[str, Any]:
        identity = {"name": "builtin", "fingerprint": self.fingerprint, "random_weights": self.random_weights}
        return {**identity, "profile": {}, "dtype": "float32", "device": "cpu"}

    @staticmethod
    def ceilings() -> dict[str, float]:
        return {"flops_per_s": 1e12, "bytes_per_s": 1e11, "host_bytes_per_s": 1e10}


@dataclass(frozen=True)
class FakeSessionOptions:
    reference: str
    seed: int
    max_new_tokens: int
    warmup: int
    not_warmed: frozenset[str] = frozenset()
    cold_before: int = 0
    spares: bool = False


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Fakes in place of model and engine, and an empty working directory."""
    world = World()

    def load_model(name: str, path: Path, *, sampling: FrameSampling, **options: Any) -> FakeModel:
        world.loaded += 1
        world.options, world.sampling = tuple(options.values()), sampling
        return FakeModel(world.fingerprint, world.random_weights)

    def resolve_model(name: str, revision: str | None = None, tell: Callable[[str], None] = print) -> Path:
        world.revision = revision
        return Path(name)

    def serve(
        workload: str,
        conversations: Sequence[Conversation],
        runners: Sequence[FakeRunner],
        options: FakeSessionOptions,
        finished: Mapping[str, Record],
        watch: Any = None,
    ) -> Iterator[Record]:
        world.replayed += finished
        world.spared.append(options.spares)
        turns = [(talk, turn) for talk in conversations for turn in talk.turns]
        for number, (talk, turn) in enumerate(turns):
            asked = [runner for runner in runners if watch is None or watch.asks(runner.label)]
            for order, runner in enumerate(asked):
                record = answer(world, workload, number, order, talk.cluster_id, turn.id, runner)
                if watch is not None:
                    watch.note(record)
                if record.key in finished:
                    continue
                if world.stop_with is not None and len(world.served) == world.stop_after:
                    raise world.stop_with
                world.served.append(record.key)
                yield record

    fakes: dict[str, dict[str, Any]] = {
        "runners.models.load": {
            "resolve_model": resolve_model,
            "load_model": load_model,
            "describe_models": lambda: {"builtin": "the embedded model"},
        },
        "runners.local": {"build_runners": build_runners},
        "runners.session": {
            "SessionOptions": FakeSessionOptions,
            "serve": serve,
            "requests_of": requests_of,
            "turns_of": turns_of,
            "COMPUTED_BY_ALL": COMPUTED_BY_ALL,
        },
    }
    for name, members in fakes.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(tmp_path)
    return world


def answer(
    world: World, workload: str, number: int, order: int, cluster: str, request: str, runner: FakeRunner
) -> Record:
    status = world.failing.get(request, Status.OK) if runner.label == "vlcache" else Status.OK
    ok = status is Status.OK
    warmth = Warmth.WARM if number else Warmth.COLD
    ttft = (80.0 + number) * (SPEED[runner.method] if number else 1.0)
    layers = 500 if runner.method == "full" else 25
    return Record(
        key=f"{workload}/{request}/{runner.label}",
        workload=workload,
        request=request,
        runner=runner.label,
        cluster_id=cluster,
        family="changed",
        order=order,
        warmth=warmth,
        recurring_media=3 if number else 0,
        content_share=0.25,
        status=status,
        error=None if ok else "reuse fell back: evicted",
        answer="A" if ok else None,
        gold=("A",),
        token_ids=(7,) if ok else (),
        score=float(ok),
        kl=0.0 if ok else None,
        agrees=True if ok else None,
        timing=Timing(ttft, ttft, 0, 0, 0, 0, 0, 0, 1.0, 0.5) if ok else None,
        cache=CacheStats(3, 3, 3, 3, 120, 100, 0, layers, layers, 5, 1e9, 1e9, 0, None) if ok else None,
    )


Bench = Callable[..., int]


@pytest.fixture
def bench(world: World) -> Bench:
    """``vlcache bench`` with three runners and four requests of one workload; returns the exit code."""

    def run(*arguments: str) -> int:
        few = ["--workload", "binding", "--samples", "4", "--runner", "vlcache,full,prefix-cache"]
        return main(["bench", *few, *arguments])

    return run
