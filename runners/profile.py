"""The model profile: what was measured for one model, in a small YAML file beside its weights."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import yaml
from annotated_types import Ge, Interval

from runners.models.files import read_model_file
from runners.risk.model import RiskModel
from workloads.errors import UsageError
from workloads.private_files import write_whole
from workloads.reading import read_yaml
from workloads.reading.regular import read_bounded

FILE_NAME = "vlcache.yaml"
LARGEST_FILE = 1 << 20
DEFAULT_PROBES = 4

Layer = Annotated[int, Ge(0)]
Cost = Annotated[float, Interval(ge=0, lt=1e300)]  # sums of costs stay finite


@dataclass(frozen=True)
class ModelProfile:
    """Settings measured for a model; the defaults are for models that were not measured.

    Attributes:
        probe_layers: layers in which a drift probe finds the tokens that matter, ascending; empty when not measured.
        sensitivity: what staleness in one layer alone costs, in nats of KL, per layer; empty when not measured.
        layer_weights: how a recompute budget is spread over the layers, never growing; empty when not measured.
        risk: what tells how likely an answer changes, calibrated; None when not measured.
    """

    probe_layers: tuple[Layer, ...] = ()
    sensitivity: tuple[Cost, ...] = ()
    layer_weights: tuple[Cost, ...] = ()
    risk: RiskModel | None = None


def default_probe_layers(layers: int) -> tuple[int, ...]:
    """Choose up to four layers spread over the first two thirds.

    Where a binding forms depends on the model and on the question (docs/method.md), so they are spread out.
    """
    steps = (round(layers * (2 * step + 1) / (3 * DEFAULT_PROBES)) for step in range(DEFAULT_PROBES))
    return tuple(sorted({max(0, min(step, layers - 2)) for step in steps}))


def load_profile(model: Path, layers: int) -> ModelProfile:
    """Read the profile in a model's directory, the default one when there is none.

    Raises:
        UsageError: the file is not what it should be.
    """
    path = model / FILE_NAME
    if not os.path.lexists(path):
        return ModelProfile()
    return _profile(read_model_file(model, FILE_NAME, LARGEST_FILE), path, layers)


def read_profile(path: Path, layers: int) -> ModelProfile:
    """Read the profile of a model with so many ``layers``; UsageError when the file is not what it should be."""
    return _profile(read_bounded(path, LARGEST_FILE, "profile of a model"), path, layers)


def _profile(data: bytes, path: Path, layers: int) -> ModelProfile:
    """Check what the file of a profile holds."""
    profile = read_yaml(data, ModelProfile, str(path))
    if not all(layer < layers - 1 for layer in profile.probe_layers):
        raise UsageError(f"{path}: probe_layers must be a list of layers between 0 and {layers - 2}")
    for name in ("sensitivity", "layer_weights"):
        if len(getattr(profile, name)) not in (0, layers):
            raise UsageError(f"{path}: {name} must be a list of {layers} numbers of at least 0, one for each layer")
    weights = profile.layer_weights
    if weights and (weights[0] <= 0 or any(a < b for a, b in pairwise(weights))):
        raise UsageError(f"{path}: layer_weights must begin above 0 and never grow")
    if profile.risk is not None:
        profile.risk.check(str(path))
    return replace(profile, probe_layers=tuple(sorted(set(profile.probe_layers))))


def write_profile(path: Path, profile: ModelProfile, comment: str) -> None:
    """Write what ``read_profile`` reads, ``comment`` above it."""
    values = plain(asdict(profile))
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    text = lines + yaml.safe_dump(values, default_flow_style=None, sort_keys=False)
    write_whole(path.parent, path.name, text.encode())


def plain(values: Any) -> Any:
    """Turn what ``asdict`` gives into the types of YAML and JSON, what is empty left out of mappings."""
    if isinstance(values, dict):
        return {name: plain(value) for name, value in values.items() if value is not None and value != ()}
    return [plain(value) for value in values] if isinstance(values, tuple) else values
