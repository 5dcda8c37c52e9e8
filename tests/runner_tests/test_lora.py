"""An adapter beside a model's weights is merged into them, or refused: never left out in silence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from runners.builtin import MODEL_DIR
from runners.models import lora
from runners.models.load import load_model, resolve_model
from workloads.errors import UsageError

ADAPTER = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 4,
    "target_modules": ["q_proj", "v_proj"],
    "base_model_name_or_path": "owner/never-downloaded",
    "init_lora_weights": True,
    "inference_mode": True,
    "megatron_core": "megatron.core",
    "task_type": "CAUSAL_LM",
}
FIRST = "layers.0.self_attn.q_proj"


@pytest.fixture
def adapted(tmp_path: Path) -> Path:
    """The embedded model with an adapter beside it that changes one matrix."""
    path = Path(shutil.copytree(MODEL_DIR, tmp_path / "model"))
    torch.manual_seed(1)
    weights: dict[str, Any] = {}
    for name, weight in load_file(path / "model.safetensors").items():
        layer, _, kind = name.replace("model.layers", "model.language_model.layers")[: -len(".weight")].rpartition(".")
        if name.endswith(("q_proj.weight", "v_proj.weight")):
            start = f"base_model.model.{layer}.{kind}"
            weights[f"{start}.lora_A.weight"] = torch.randn(2, weight.shape[1])
            weights[f"{start}.lora_B.weight"] = torch.randn(weight.shape[0], 2) * ("layers.0." in name)
    save_file(weights, path / "adapter_model.safetensors", metadata={"format": "pt"})
    (path / "adapter_config.json").write_text(json.dumps(ADAPTER))
    return path


def edit(path: Path, **more: Any) -> None:
    file = path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | more))


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_model("mine", resolve_model(str(path)), "float32", "cpu")
    assert str(caught.value).isprintable()
    return str(caught.value).removeprefix("model 'mine' cannot be loaded: ")


def test_an_adapter_without_peft_is_refused_with_how_to_install_it(
    adapted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    assert refusal(adapted) == (
        "the adapter in adapter_model.safetensors is applied by peft, which is not installed: "
        "pip install 'vlcache[peft]', or remove adapter_config.json and adapter_model.safetensors to measure the model "
        "without it"
    )


@pytest.mark.parametrize("lone", ["adapter_config.json", "adapter_model.safetensors"])
def test_half_an_adapter_is_refused(adapted: Path, lone: str) -> None:
    other = ({"adapter_config.json", "adapter_model.safetensors"} - {lone}).pop()
    (adapted / other).rename(adapted / "adapter_model.bin")
    assert refusal(adapted).startswith(f"{lone} is part of an adapter, and {other} is missing beside it")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "peft_type must be LORA"),
        ({"peft_type": ["LORA"]}, "peft_type must be LORA"),
        ({"r": 0}, "r must be a whole number"),
        ({"r": True}, "r must be a whole number"),
        ({"r": 10**12}, "r must be a whole number"),
    ],
)
def test_an_adapter_of_another_kind_is_refused(adapted: Path, more: dict[str, Any], told: str) -> None:
    edit(adapted, **more)
    assert refusal(adapted).startswith(f"adapter_config.json: {told}")


needs_peft = pytest.mark.skipif(find_spec("peft") is None, reason="needs peft, which comes with the extra 'peft'")


@needs_peft
@pytest.mark.filterwarnings("default")
def test_an_adapter_is_merged_into_the_weights_beside_it(adapted: Path) -> None:
    base = load_file(adapted / "model.safetensors")[f"model.{FIRST}.weight"]
    lora_weights = load_file(adapted / "adapter_model.safetensors")
    a, b = (lora_weights[f"base_model.model.model.language_model.{FIRST}.lora_{side}.weight"] for side in "AB")
    model: Any = load_model("mine", resolve_model(str(adapted)), "float32", "cpu")
    merged = model.adapter._text.layers[0].self_attn.q_proj
    assert type(merged) is torch.nn.Linear
    assert torch.allclose(merged.weight, base + 2 * b @ a, atol=1e-5)
    assert model.fingerprint != load_model("builtin", MODEL_DIR, "float32", "cpu").fingerprint


def rename(weights: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("language_model", "text"): weight for name, weight in weights.items()}


def halve(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: weight for name, weight in weights.items() if "layers.0." in name}


def narrow(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: weight[:, :1].contiguous() for name, weight in weights.items()}


@needs_peft
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("change", [rename, halve, narrow])
def test_an_adapter_of_another_model_is_refused(
    adapted: Path, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    file = adapted / "adapter_model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
    assert "adapter" in refusal(adapted)


@needs_peft
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "more",
    [
        {"megatron_config": {"a": 1}, "megatron_core": "antigravity"},
        {"layer_replication": [[0, 1]]},
        {"init_lora_weights": "loftq"},
        {"init_lora_weights": "pissa"},
        {"target_modules": ["nothing"]},
        {"target_modules": 7},
        {"unheard_of": "x"},
    ],
)
def test_settings_that_cannot_be_merged_are_refused(adapted: Path, more: dict[str, Any]) -> None:
    edit(adapted, **more)
    assert "adapter" in refusal(adapted)
