"""Resolve the layers of a configuration into one: defaults <- preset <- configuration file <- flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from vlcache_cli.config.setting import Setting, settings_of
from vlcache_cli.config.stream import StreamConfig
from workloads.errors import UsageError, unknown_name
from workloads.reading import brief, brief_name, parse_yaml
from workloads.reading.regular import read_bounded

LARGEST_FILE = 1 << 16
FLAGS_ONLY = ("preset", "config")

Layer = dict[str, Any]
Config = TypeVar("Config", bound=StreamConfig)


def resolve(kind: type[Config], flags: Mapping[str, object]) -> Config:
    """The configuration of that kind that ``flags`` ask for; a flag that is None or empty was not given.

    Raises:
        UsageError: naming where the mistake is, flag or file and key.
    """
    known = settings_of(kind)
    given = {name: value for name, value in flags.items() if value not in (None, [], ())}
    layer = {name: _read(known[name], value, flag(name)) for name, value in given.items()}
    values: Layer = {}
    if "preset" in layer:
        values |= _read_layer(_find_preset(layer["preset"]).read_bytes(), known, f"preset {layer['preset']}")
    if "config" in layer:
        data = read_bounded(layer["config"], LARGEST_FILE, "configuration")
        values |= _read_layer(data, known, str(layer["config"]))
    config = kind(**(values | layer))
    if "workload" not in values | layer:
        config = config.with_usual_workloads()
    if "output" in values | layer:
        return config
    if (values | layer).get("resume"):
        raise UsageError("--resume needs --output: name the folder of the run to continue")
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return replace(config, output=config.output / f"{stamp}-{config.folder_name()}")


def flag(name: str) -> str:
    """How the setting is written on the command line."""
    return f"--{name.replace('_', '-')}"


def preset_names() -> list[str]:
    """The presets that come with the package."""
    return sorted(Path(entry.name).stem for entry in _presets().iterdir() if entry.name.endswith(".yaml"))


def describe_presets() -> list[tuple[str, str]]:
    """The presets by name, each with the first paragraph of the comment at the head of its file."""
    return [(name, _first_paragraph(_find_preset(name).read_text(encoding="utf-8"))) for name in preset_names()]


def _first_paragraph(text: str) -> str:
    comment = takewhile(lambda line: line.startswith("# "), text.splitlines())
    return " ".join(line[2:] for line in comment)


def _presets() -> Traversable:
    return files("vlcache_cli") / "presets"


def _find_preset(name: str) -> Traversable:
    if name not in preset_names():
        raise unknown_name("preset", name, preset_names())
    return _presets() / f"{name}.yaml"


def _read_layer(data: bytes, known: Mapping[str, Setting], origin: str) -> Layer:
    """The settings in a YAML text, of those that are ``known``; dashes and underscores in keys are the same."""
    told = parse_yaml(data, origin)
    if not isinstance(told, dict | None):
        raise UsageError(f"{origin} must map settings to values, such as 'samples: 16', not be {brief(told)}")
    layer: Layer = {}
    for key, value in (told or {}).items():
        name = key.replace("-", "_") if isinstance(key, str) else brief(key)
        if name in FLAGS_ONLY:
            raise UsageError(f"{origin}: '{key}' can only be given as the flag {flag(name)}")
        if name not in known:
            near = unknown_name("setting", brief_name(name), set(known) - set(FLAGS_ONLY))
            raise UsageError(f"{origin}: {near}")
        if name in layer:
            raise UsageError(f"{origin}: '{name}' is given twice")
        layer[name] = _read(known[name], value, f"{origin}: {key}")
    return layer


def _read(setting: Setting, value: object, origin: str) -> Any:
    try:
        return setting.read(value)
    except ValueError as error:
        raise UsageError(f"{origin} {error}") from error
