"""Expand the runners of a sweep over its recompute ratios, each with a label of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runners.registry import require_distinct
from vlcache_cli.config.commands import SweepConfig
from vlcache_cli.jobs.bench import parse_runners
from workloads.errors import UsageError

if TYPE_CHECKING:
    from runners.registry import RunnerSpec

BASELINES = ("full", "prefix-cache", "full-reuse")
RATIO = "recompute_ratio"  # the setting that a sweep varies


@dataclass(frozen=True)
class Swept:
    """One runner of a sweep.

    Attributes:
        family: the label of the runner without a ratio, shared by all ratios of it.
    """

    spec: RunnerSpec
    family: str


def name_runners(config: SweepConfig) -> SweepConfig:
    """The same with the runners by name if it names none: some baselines, and every method that takes a ratio.

    Methods that are for analysis only take part when they are asked for.
    """
    from runners.registry import METHODS, load_method

    if config.runner:
        return config
    all_methods = replace(config, runner=(",".join(METHODS),))
    usual = [
        spec.method
        for spec, takes_ratio in _parse(all_methods)
        if spec.method in BASELINES or (takes_ratio and not load_method(spec).analysis_only)
    ]
    return replace(config, runner=(",".join(usual),))


def expand(config: SweepConfig) -> list[Swept]:
    """Every runner once, those that take a ratio and do not fix it once for each ratio.

    Raises:
        UsageError: two would have the same label, or the reference would run at every ratio.
    """
    expanded: list[Swept] = []
    for spec, takes_ratio in _parse(config):
        if not takes_ratio:
            expanded.append(Swept(spec, spec.label))
            continue
        swept = [Swept(_at(spec, ratio), spec.label) for ratio in config.recompute_ratio]
        if spec.label == config.reference:
            one = swept[-1].spec.label
            raise UsageError(f"the reference '{spec.label}' runs at every ratio: choose one, as in --reference {one}")
        expanded += swept
    require_distinct(runner.spec for runner in expanded)
    return expanded


def describe(config: SweepConfig, runners: Sequence[Swept]) -> dict[str, Any]:
    """What the manifest tells of a sweep, so that its reports need not read labels."""
    families = {runner.spec.label: {"family": runner.family, "ratio": _ratio(runner.spec)} for runner in runners}
    return {"sweep": {"ratios": list(config.recompute_ratio), "runners": families}}


def _parse(config: SweepConfig) -> list[tuple[RunnerSpec, bool]]:
    """The runners asked for, and whether the ratio that all are given by default reaches them."""
    low, high = (parse_runners(config, ratio) for ratio in (0.0, 1.0))
    return [(spec, _ratio(spec) != _ratio(other)) for spec, other in zip(low, high, strict=True)]


def _ratio(spec: RunnerSpec) -> float | None:
    """The share of vision tokens that a runner computes; None for a method that takes none."""
    option = spec.option_for(RATIO)
    return None if option is None else spec.options[option]


def _at(spec: RunnerSpec, ratio: float) -> RunnerSpec:
    """The runner at a ratio. Its label is a spec for ``--runner``, unless the runner was given a name of its own."""
    option = spec.option_for(RATIO)
    assert option is not None
    digits = repr(ratio).removesuffix(".0")
    if spec.label == spec.method:
        label = f"{spec.label}@{option}={digits}"
    elif spec.label.startswith(f"{spec.method}@"):
        label = f"{spec.label},{option}={digits}"
    else:
        label = f"{spec.label}@{digits}"
    return replace(spec, label=label, options={**spec.options, option: ratio})
