"""The manifest of a run: everything needed to judge, repeat or resume it, typed and checked on reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from workloads.errors import UsageError

SCHEMA = 1
RECOMPUTES_ALL = "full"  # the method that reuses nothing, for manifests of versions that do not say so themselves

Document = Mapping[str, Any]
"""A JSON object as it was written; what no field is made of is kept in it, too."""


@dataclass(frozen=True)
class ModelDescription:
    """The model of a run, see ``LoadedModel.describe``.

    Attributes:
        random_weights: whether answers mean nothing.
        ceilings: what the device can do at most, see ``summary.floor``; None where that was not measured.
        document: these and whatever else was written: fingerprints, profile, attention, ...
    """

    name: str
    device: str
    dtype: str
    random_weights: bool
    device_name: str | None
    threads: int | None
    ceilings: Mapping[str, float] | None
    document: Document


@dataclass(frozen=True)
class RunnerDescription:
    """One runner of a run, see ``Runner.describe``.

    Attributes:
        lossless: whether it changes no answer by construction.
        analysis_only: whether it is an upper bound that nobody can use: it has no times and no verdict.
        options: of its method.
        document: these and whatever else was written.
    """

    label: str
    method: str
    lossless: bool
    analysis_only: bool = False
    options: Document = field(default_factory=dict)
    document: Document = field(default_factory=dict)

    @property
    def reuses(self) -> bool:
        """Whether it reads any store; manifests of early versions tell by its method."""
        told: bool = self.document.get("reuses", self.method != RECOMPUTES_ALL)
        return told


@dataclass(frozen=True)
class Environment:
    """The machine and the software, apart from what the model's description says of its device."""

    libraries: Mapping[str, str | None]
    python: str | None = None
    platform: str | None = None
    cpus: int | None = None
    git_commit: str | None = None


@dataclass(frozen=True)
class SweptRunner:
    """Where a runner of a sweep comes from: the runner that was given, and the ratio; None where that takes none."""

    family: str
    ratio: float | None


@dataclass(frozen=True)
class Manifest:
    """What a run was.

    Attributes:
        config: the resolved configuration without what only concerns presentation.
        workloads: the fingerprint of each workload's stream.
        sweep: by label, where the runners of a sweep come from; None for other runs.
        created: when, in ISO 8601; None where an early version did not say, as with ``seed``, ``margin`` and ``alpha``.
        document: the whole manifest as it was written.
    """

    config: Document
    workloads: Mapping[str, str]
    model: ModelDescription
    runners: tuple[RunnerDescription, ...]
    environment: Environment
    sweep: Mapping[str, SweptRunner] | None
    created: str | None
    seed: int | None
    margin: float | None
    alpha: float | None
    document: Document

    @property
    def reference(self) -> str:
        """The label of the runner that the others are compared with."""
        return str(self.config["reference"])

    @property
    def labels(self) -> list[str]:
        """Of the runners, as given."""
        return [runner.label for runner in self.runners]

    @property
    def analysis_only(self) -> list[str]:
        """Labels of the runners that are upper bounds."""
        return [runner.label for runner in self.runners if runner.analysis_only]

    @property
    def noise_arms(self) -> list[str]:
        """Labels of the runners that reuse nothing, if the reference does not either: their flips are rounding."""
        methods = {runner.label: runner for runner in self.runners}
        reference = methods.get(self.reference)
        if reference is None or reference.reuses:
            return []
        return [label for label, runner in methods.items() if not runner.reuses and label != self.reference]

    @classmethod
    def check(cls, document: Any, origin: Path | str) -> Self:
        """The manifest in a JSON document, whatever version wrote it.

        Raises:
            UsageError: naming ``origin``, and what is missing or is something else.
        """
        return cls(
            config=_config(document, origin),
            workloads=_part(document, "workloads", dict, origin),
            model=_model(_part(document, "model", dict, origin), origin),
            runners=tuple(_runner(runner, origin) for runner in _part(document, "runners", list, origin)),
            environment=_environment(document.get("environment", {}), origin),
            sweep=_sweep(document["sweep"], origin) if "sweep" in document else None,
            created=document.get("created"),
            seed=document.get("seed"),
            margin=_share(document, "margin"),
            alpha=_share(document, "alpha"),
            document=document,
        )


def _refuse(origin: Path | str, what: str) -> UsageError:
    return UsageError(f"{origin}: its manifest {what}; the run cannot be used")


def _part(document: Document, name: str, kind: type, origin: Path | str) -> Any:
    part = document.get(name)
    if not isinstance(part, kind):
        raise _refuse(origin, f"lacks '{name}'")
    return part


def _config(document: Document, origin: Path | str) -> Document:
    config: Document = _part(document, "config", dict, origin)
    if not isinstance(config.get("reference"), str):
        raise _refuse(origin, "lacks 'config.reference'")
    return config


def _model(document: Document, origin: Path | str) -> ModelDescription:
    for name in ("name", "device", "dtype"):
        if not isinstance(document.get(name), str):
            raise _refuse(origin, f"lacks 'model.{name}'")
    return ModelDescription(
        document["name"],
        document["device"],
        document["dtype"],
        bool(document.get("random_weights", False)),
        document.get("device_name"),
        document.get("threads"),
        document.get("ceilings"),
        document,
    )


def _runner(document: Any, origin: Path | str) -> RunnerDescription:
    needed = {"label": str, "method": str, "lossless": bool}
    if not isinstance(document, dict) or not all(isinstance(document.get(name), needed[name]) for name in needed):
        raise _refuse(origin, f"describes a runner without one of {', '.join(needed)}")
    options = document.get("options", {})
    if not isinstance(options, dict):
        raise _refuse(origin, "describes a runner's options as no mapping")
    analysis_only = bool(document.get("analysis_only", False))
    return RunnerDescription(
        document["label"], document["method"], document["lossless"], analysis_only, options, document
    )


def _environment(document: Any, origin: Path | str) -> Environment:
    if not isinstance(document, dict) or not isinstance(document.get("libraries", {}), dict):
        raise _refuse(origin, "describes no environment")
    names = ("python", "platform", "cpus", "git_commit")
    return Environment(document.get("libraries", {}), **{name: document.get(name) for name in names})


def _sweep(document: Any, origin: Path | str) -> dict[str, SweptRunner]:
    runners = document.get("runners", {}) if isinstance(document, dict) else None
    if not isinstance(runners, dict) or not all(map(_is_swept, runners.values())):
        raise _refuse(origin, "describes no sweep under 'sweep'")
    return {label: SweptRunner(runner["family"], runner.get("ratio")) for label, runner in runners.items()}


def _is_swept(runner: object) -> bool:
    """Whether it has a family, and a ratio or None."""
    return (
        isinstance(runner, dict)
        and isinstance(runner.get("family"), str)
        and isinstance(runner.get("ratio"), int | float | None)
    )


def _share(document: Document, name: str) -> float | None:
    """What the verdicts of the run were made with."""
    verdict = document.get("verdict")
    value = verdict.get(name) if isinstance(verdict, dict) else None
    return value if isinstance(value, float) and 0 < value < 1 else None
