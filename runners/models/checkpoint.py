"""Load a model from a local Hugging Face directory with safetensors weights."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer, PretrainedConfig
from transformers import __version__ as transformers_version
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from runners.engine.adapters.base import Adapter
from runners.engine.adapters.chat import encoded
from runners.engine.adapters.registry import build_adapter, require_image_processor, require_supported
from runners.engine.adapters.template import adopt_template
from runners.engine.errors import UnsupportedModel, first_line
from runners.engine.media.sampling import FrameSampling
from runners.models import lora
from runners.models.division import plan_division
from runners.models.files import ModelFiles, survey
from runners.models.placement import place
from runners.models.rehearsal import rehearse_model, rehearse_picture
from runners.models.settings import check_config, check_generation, check_image_settings
from workloads.errors import UsageError
from workloads.reading import brief_name, in_one_line

LOCAL = {"local_files_only": True, "trust_remote_code": False}
MOST_MISSING = 2  # a model of more than so many times the numbers in its files is not even made
OF_CLASSES = ("sub_configs", "attribute_map", "base_config_key")  # attributes of transformers' classes alone
RUST_PANIC = "PanicException"  # of tokenizers and safetensors; it derives from BaseException


def load_checkpoint(
    name: str, path: Path, dtype: torch.dtype, device: str, device_map: str, sampling: FrameSampling
) -> tuple[Adapter, str]:
    """Load a model onto its device, and return its adapter and the fingerprint of its files.

    Args:
        device, device_map: see ``placement.place``.

    Raises:
        UnsupportedModel: there is no adapter for its architecture, or reuse cannot be exact.
        UsageError: a file is missing, damaged or not what it should be, or there is no such device.
    """
    model, tokenizer, images = load_files(name, path, dtype, device, device_map)
    with _one_line(name, "config.json"):
        adapter = build_adapter(model, tokenizer, images, sampling)
    with _one_line(name, "the tokenizer"):
        adapter.decode_text(encoded(tokenizer, "Hello"))
    with _one_line(name, "the settings of the image processor"):
        pixels = rehearse_picture(adapter)
    with _one_line(name, "config.json"):
        rehearse_model(adapter, pixels)
    return adapter, fingerprint(path)


def load_files(name: str, path: Path, dtype: torch.dtype, device: str, device_map: str) -> tuple[Any, Any, Any]:
    """Load the model onto its device, its tokenizer and its image processor; see ``load_checkpoint``."""
    with _one_line(name):
        files = survey(path)
        files.check()
        _check(files)
        if files.adapter:
            lora.require_mergeable(files)
    with _one_line(name, "config.json"):
        outline = _outline(path, dtype)
        _require_weights(files, outline)
    where = place(name, device, device_map, lambda: outline)
    division = plan_division(name, outline)
    if division is not None and files.adapter:
        raise UsageError(f"model '{name}' has an adapter beside its weights, which cannot be divided: merge it first")
    with _one_line(name, "the weights"):
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            path,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            adapter_kwargs=lora.UNSEEN,
            **({} if division is None else {"distributed_config": division}),
            **LOCAL,
        )
        model, loading = loaded
        if wrong := sorted(loading["mismatched_keys"]):
            key, held, wanted = wrong[0]
            divided = "" if division is None else f"transformers {transformers_version} does not divide it rightly: "
            raise UsageError(
                f"{divided}{key} has the shape {list(held)} in its files, and {list(wanted)} by its config.json"
                + (f", and {len(wrong) - 1} more weights differ" if len(wrong) > 1 else "")
            )
    if missing := sorted(loading["missing_keys"]):
        raise UsageError(f"model '{name}': its files lack {len(missing)} of the model's weights, {missing[0]} first")
    if files.adapter:
        with _one_line(name, "the adapter"):
            model = lora.merge(model, files)
    with _one_line(name, "the tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(path, **LOCAL)
        _require_covered(tokenizer, files)
        adopt_template(tokenizer, files.settings, files.read)
    with _one_line(name, "the image processor"):
        images = AutoImageProcessor.from_pretrained(path, **LOCAL)
        require_image_processor(model.config.model_type, type(images).__name__)
    return model.to(where).eval(), tokenizer, images


def fingerprint(path: Path) -> str:
    """Hash the files of a model that are loaded; UsageError for those that would not be."""
    return survey(path).fingerprint()


def _check(files: ModelFiles) -> None:
    """Check what the settings say, before anything is made of them."""
    config = files.read("config.json")
    check_config(config)
    _require_settings(config)
    family = config.get("model_type")
    require_supported(family)
    for name in ("config.json", "generation_config.json"):
        check_generation(files.read(name), name)
    for name in ("processor_config.json", "preprocessor_config.json"):
        settings = files.read(name)
        if name == "processor_config.json":
            settings = settings.get("image_processor") or {}
        if not isinstance(settings, dict):
            raise UsageError(f"{name}: image_processor must map names to values")
        check_image_settings(settings, name)
        kind = settings.get("image_processor_type") or settings.get("feature_extractor_type")
        if kind is not None:
            require_image_processor(str(family), kind)


def _require_settings(config: Mapping[str, Any]) -> None:
    """UsageError for what would take the place of a method or a class of transformers' configurations."""
    for key, value in config.items():
        own = inspect.getattr_static(PretrainedConfig, key, None)
        is_fixed = isinstance(own, property) and own.fset is None
        is_method = isinstance(own, FunctionType | classmethod | staticmethod)
        if is_fixed or is_method or key.startswith("__") or key in OF_CLASSES:
            raise UsageError(f"config.json: {brief_name(key)} is no setting of a model; remove it")
        if isinstance(value, dict):
            _require_settings(value)


def _outline(path: Path, dtype: torch.dtype) -> Any:
    """Build the model without weights, on the meta device."""
    config = AutoConfig.from_pretrained(path, **LOCAL)
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config, dtype=dtype)


def _require_weights(files: ModelFiles, outline: Any) -> None:
    """UsageError when the files hold far fewer numbers than the model has: the others would be drawn at random."""
    held = sum(_numbers(files, name) for name in files.weights)
    wanted = sum(parameter.numel() for parameter in outline.parameters())
    if wanted > MOST_MISSING * held and getattr(outline.config, "quantization_config", None) is None:
        raise UsageError(f"config.json describes a model of {wanted} weights, and its files hold {held}")


def _numbers(files: ModelFiles, name: str) -> int:
    """How many numbers a file of weights holds, as its header says; UsageError when that does not fit the file."""
    try:
        with safe_open(files.folder / name, framework="pt") as weights:
            return sum(prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise UsageError(f"{name} holds no weights: {first_line(error)}") from error


def _require_covered(tokenizer: Any, files: ModelFiles) -> None:
    """UsageError when a tokenizer's class reads a file that is not checked and hashed."""
    for name in set(tokenizer.vocab_files_names.values()):
        if name not in files.settings and (files.folder / name).exists():
            raise UsageError(f"its tokenizer, a {type(tokenizer).__name__}, reads {name}, which is not supported")


@contextmanager
def _one_line(name: str, part: str = "") -> Iterator[None]:
    """Turn whatever goes wrong with a model's files into a UsageError of one line.

    Args:
        part: what is being read, where the error itself may not say so.
    """
    try:
        yield
    except UnsupportedModel:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != RUST_PANIC:
            raise
        reason = first_line(error)
        if not isinstance(error, UsageError | OSError) and part:
            reason += f" (in {part})"
        raise UsageError(f"model '{name}' cannot be loaded: {in_one_line(reason)}") from error
