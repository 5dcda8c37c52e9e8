"""Finding and loading a model: the embedded one, or a local Hugging Face directory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runners.builtin import MODEL_DIR
from runners.environment import describe_device
from runners.profile import ModelProfile, load_profile, read_profile
from workloads.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from runners.engine.adapters.base import Adapter

MODELS = {
    "builtin": "the embedded Qwen2.5-VL of 1.6 million parameters, trained on the project's own workloads",
}
DTYPES = ("float32", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to answer, and what identifies it."""

    name: str
    adapter: Adapter
    fingerprint: str
    profile: ModelProfile

    def describe(self) -> dict[str, Any]:
        """For the manifest, as plain types."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "processor": self.adapter.processor_fingerprint(),
            "dtype": str(self.adapter.dtype).removeprefix("torch."),
            "device": str(self.adapter.device),
            **describe_device(self.adapter.device),
            "profile": {name: list(value) for name, value in asdict(self.profile).items()},
            "layers": self.adapter.shape.layers,
        }


def resolve_model(name: str) -> Path:
    """The directory of a model by name or path; UsageError when there is none."""
    path = MODEL_DIR if name == "builtin" else Path(name)
    if not path.is_dir():
        if name in MODELS:
            raise UsageError(f"the model '{name}' is not installed: {path.name}/ is missing from the package")
        raise UsageError(f"{unknown_name('model', name, MODELS)}; or give a directory with a Hugging Face model")
    if not (path / "config.json").is_file():
        raise UsageError(f"'{name}' is not a Hugging Face model directory: it has no config.json")
    if not list(path.glob("*.safetensors")):
        raise UsageError(f"'{name}' has no *.safetensors weights (pickled weights are never loaded)")
    return path


def load_model(name: str, path: Path, dtype: str, device: str, profile: Path | None = None) -> LoadedModel:
    """Load weights, tokenizer and image processor, offline; UsageError for what cannot run here.

    Args:
        profile: file with what was measured for the model; that beside its weights, if any, when None.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer
    from transformers.utils import logging

    from runners.engine.adapters.registry import build_adapter, require_supported
    from runners.engine.errors import UnsupportedModel

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device 'cuda' was asked for, but torch sees no CUDA device: use --device cpu")
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        require_supported(json.loads((path / "config.json").read_text()).get("model_type"))
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            path, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        model, loading = loaded
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        images = AutoImageProcessor.from_pretrained(path, local_files_only=True)
    except UnsupportedModel as error:
        raise UsageError(f"model '{name}': {error}") from error
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise UsageError(f"model '{name}' cannot be loaded: {str(error).splitlines()[0]}") from error
    if missing := sorted(loading["missing_keys"]):
        raise UsageError(f"model '{name}': its files lack {len(missing)} of the model's weights, {missing[0]} first")
    try:
        adapter = build_adapter(model.to(place).eval(), tokenizer, images)
    except UnsupportedModel as error:
        raise UsageError(f"model '{name}': {error}") from error
    layers = adapter.shape.layers
    measured = load_profile(path, layers) if profile is None else read_profile(profile, layers)
    return LoadedModel(name, adapter, _fingerprint(path), measured)


def _fingerprint(path: Path) -> str:
    """A BLAKE3 hash of the model's files: configuration, tokenizer and weights."""
    from blake3 import blake3

    hasher = blake3()
    for file in sorted([*path.glob("*.safetensors"), *path.glob("*.json"), *path.glob("*.jinja")]):
        hasher.update(f"{file.name}\x00{file.stat().st_size}\x00".encode())
        hasher.update_mmap(file)
    return str(hasher.hexdigest())
