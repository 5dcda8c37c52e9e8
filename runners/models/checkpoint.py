"""Load a model from a local Hugging Face directory with safetensors weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from blake3 import blake3
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from runners.engine.adapters.chat import adopt_template
from runners.engine.adapters.registry import require_supported
from runners.engine.errors import UnsupportedModel, first_line
from runners.models.placement import place
from workloads.errors import UsageError

LOCAL = {"local_files_only": True, "trust_remote_code": False}


def load_files(name: str, path: Path, dtype: torch.dtype, device: str, device_map: str) -> tuple[Any, Any, Any]:
    """Load the model onto its device, its tokenizer and its image processor.

    Args:
        device, device_map: see ``placement.place``.

    Raises:
        UnsupportedModel: there is no adapter for its architecture.
        UsageError: a file is missing or damaged, or there is no such device.
    """
    with _one_line(name):
        require_supported(json.loads((path / "config.json").read_text("utf-8")).get("model_type"))
    where = place(name, device, device_map, lambda: _outline(name, path, dtype))
    with _one_line(name):
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            path, dtype=dtype, use_safetensors=True, output_loading_info=True, **LOCAL
        )
        model, loading = loaded
        tokenizer = AutoTokenizer.from_pretrained(path, **LOCAL)
        adopt_template(tokenizer, path)
        images = AutoImageProcessor.from_pretrained(path, **LOCAL)
    if missing := sorted(loading["missing_keys"]):
        raise UsageError(f"model '{name}': its files lack {len(missing)} of the model's weights, {missing[0]} first")
    return model.to(where).eval(), tokenizer, images


def fingerprint(path: Path) -> str:
    """Hash the model's files (BLAKE3): configuration, tokenizer and weights."""
    hasher = blake3()
    for file in sorted([*path.glob("*.safetensors"), *path.glob("*.json"), *path.glob("*.jinja")]):
        hasher.update(f"{file.name}\x00{file.stat().st_size}\x00".encode())
        hasher.update_mmap(file)
    return str(hasher.hexdigest())


def _outline(name: str, path: Path, dtype: torch.dtype) -> Any:
    """Build the model without weights, on the meta device."""
    with _one_line(name):
        config = AutoConfig.from_pretrained(path, **LOCAL)
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(config, dtype=dtype)


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Turn the errors of transformers about unreadable files into a UsageError of one line."""
    try:
        yield
    except UnsupportedModel:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise UsageError(f"model '{name}' cannot be loaded: {first_line(error)}") from error
