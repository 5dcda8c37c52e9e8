"""Merge an adapter (LoRA, arXiv 2106.09685) that lies beside a model's weights into them, by peft.

The base model that an adapter names is not looked for: the weights beside it are its base.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from runners.models.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, ModelFiles
from workloads.errors import UsageError
from workloads.reading import brief, brief_name

INSTALL = "pip install 'vlcache[peft]'"
UNSEEN = {"subfolder": os.devnull}
"""Where transformers is told to look for adapters, so that it applies none by itself and unmerged."""

MERGED = frozenset(
    (
        *("peft_type", "task_type", "base_model_name_or_path", "revision", "inference_mode", "peft_version"),
        *("r", "lora_alpha", "lora_dropout", "bias", "lora_bias", "fan_in_fan_out", "use_rslora", "use_dora"),
        *("target_modules", "exclude_modules", "modules_to_save", "layers_to_transform", "layers_pattern"),
        *("rank_pattern", "alpha_pattern", "auto_mapping"),
    )
)
"""Settings of an adapter that may differ from peft's defaults; others load modules and files by name, or decompose."""
MOST_RANK = 4096


def require_mergeable(files: ModelFiles) -> None:
    """UsageError unless peft is installed and can merge the adapter."""
    settings = files.read(ADAPTER_CONFIG)
    if settings.get("peft_type") != "LORA":
        raise UsageError(f"{ADAPTER_CONFIG}: peft_type must be LORA, not {brief(settings.get('peft_type'))}")
    rank = settings.get("r")
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= MOST_RANK:
        raise UsageError(f"{ADAPTER_CONFIG}: r must be a whole number from 1 to {MOST_RANK}, not {brief(rank)}")
    if find_spec("peft") is None:
        raise UsageError(
            f"the adapter in {ADAPTER_WEIGHTS} is applied by peft, which is not installed: {INSTALL}, or remove "
            f"{ADAPTER_CONFIG} and {ADAPTER_WEIGHTS} to measure the model without it"
        )
    from peft import LoraConfig

    defaults = LoraConfig().to_dict()
    for key, value in settings.items():
        if key not in MERGED and value and value != defaults.get(key):
            raise UsageError(f"{ADAPTER_CONFIG}: {brief_name(key)} is not supported; merge it with peft itself")


def merge(model: Any, files: ModelFiles) -> Any:
    """Merge the adapter into a model's weights; UsageError when its weights do not belong to the model."""
    from peft import LoraConfig, get_peft_model
    from peft.utils import set_peft_model_state_dict
    from safetensors.torch import load_file

    config: Any = LoraConfig.from_pretrained(str(files.folder))
    wrapped: Any = get_peft_model(model, config)
    try:
        result = set_peft_model_state_dict(wrapped, load_file(files.folder / ADAPTER_WEIGHTS))
    except RuntimeError as error:
        raise UsageError(f"the weights in {ADAPTER_WEIGHTS} have other shapes than those of this model") from error
    lacking = sorted(key for key in result.missing_keys if "lora_" in key)
    if strange := sorted(result.unexpected_keys) or lacking:
        problem = "are not those of this model" if result.unexpected_keys else "are incomplete"
        raise UsageError(f"the weights in {ADAPTER_WEIGHTS} {problem}: {brief_name(strange[0])} first")
    return wrapped.merge_and_unload()
