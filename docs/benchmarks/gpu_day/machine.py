"""What the parts are run on: device, driver, versions; and what is missing before anything is begun."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

NEEDED = {
    "annotated_types": "annotated-types",
    "blake3": "blake3",
    "huggingface_hub": "huggingface-hub",
    "jinja2": "jinja2",
    "numpy": "numpy",
    "pandas": "pandas",
    "PIL": "pillow",
    "pydantic": "pydantic",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "tokenizers": "tokenizers",
    "torch": "torch",
    "transformers": "transformers",
    "typer": "typer",
    "xxhash": "xxhash",
    "yaml": "pyyaml",
}
"""What the parts import, by the names of the packages that have it."""
SHOWN = ("torch", "transformers", "tokenizers", "triton", "flash-attn", "numpy", "pydantic")


def missing() -> list[str]:
    """Packages that the parts cannot do without, and that are not there."""
    return [package for module, package in NEEDED.items() if find_spec(module) is None]


def has_cuda() -> bool:
    """Whether torch sees a device."""
    import torch

    return torch.cuda.is_available()


def describe(rehearsal: bool) -> dict[str, Any]:
    """Device, driver and versions, as plain types."""
    versions = {"python": platform.python_version(), **{name: _version(name) for name in SHOWN}}
    if rehearsal:
        return {
            "device": f"CPU ({platform.machine()}), a rehearsal: no figure counts",
            "driver": None,
            "versions": versions,
        }
    import torch

    return {
        "device": torch.cuda.get_device_name(0),
        "driver": _driver(),
        "versions": {**versions, "cuda": torch.version.cuda},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.split("\n")[0].strip() or None
