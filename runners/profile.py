"""What was measured for one model: a small YAML file beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from workloads.errors import UsageError

FILE_NAME = "vlcache.yaml"


@dataclass(frozen=True)
class ModelProfile:
    """Measured settings; the defaults are for models nobody measured.

    Attributes:
        probe_layers: layers in which a drift probe finds the tokens that matter, ascending; empty when not measured.
    """

    probe_layers: tuple[int, ...] = ()


def load_profile(model: Path, layers: int) -> ModelProfile:
    """The profile in a model's directory, the default one when there is none.

    Raises:
        UsageError: the file is not what it should be.
    """
    path = model / FILE_NAME
    if not path.is_file():
        return ModelProfile()
    try:
        read = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(read, dict) or set(read) != {"probe_layers"}:
        raise UsageError(f"{path} must hold one key, probe_layers")
    probed = read["probe_layers"]
    known = range(layers - 1)
    if not isinstance(probed, list) or not all(type(layer) is int and layer in known for layer in probed):
        raise UsageError(f"{path}: probe_layers must be a list of layers between 0 and {layers - 2}")
    return ModelProfile(tuple(sorted(set(probed))))
