"""Finding and loading a model: whatever is wrong with it is one line, said before anything is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from runners.engine.adapters.registry import ADAPTERS
from runners.models import checkpoint
from runners.models import load as models
from runners.models.load import load_model, resolve_model
from workloads.errors import UsageError


def edit_config(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    file = path / "config.json"
    config = json.loads(file.read_text())
    edit(config)
    file.write_text(json.dumps(config))


def refusal(path: Path, device: str = "cpu") -> str:
    with pytest.raises(UsageError) as caught:
        load_model("mine", resolve_model(str(path)), "float32", device)
    line = str(caught.value)
    assert line.startswith(("model 'mine'", "device"))
    assert "\n" not in line
    return line


def test_a_near_miss_of_a_name_is_suggested() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_model("buildin")
    assert str(caught.value) == (
        "unknown model 'buildin': did you mean 'builtin'?; or give a directory with a Hugging Face model, "
        "or a model on the hub, as owner/name"
    )


def test_an_embedded_model_that_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MODEL_DIR", tmp_path / "weights")
    with pytest.raises(UsageError, match=r"'builtin' is not installed: weights/ is missing from the package"):
        resolve_model("builtin")


def test_a_directory_without_a_configuration_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a Hugging Face model directory: it has no config\.json"):
        resolve_model(str(tmp_path))


def test_pickled_weights_are_refused_unread(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(UsageError, match=r"has no \*\.safetensors weights \(pickled weights are never loaded\)"):
        resolve_model(str(copy))


def test_an_intact_model_says_what_it_is(intact: Path) -> None:
    model = load_model("mine", resolve_model(str(intact)), "bfloat16", "cpu")
    described = model.describe()
    assert (described["name"], described["dtype"], described["device"]) == ("mine", "bfloat16", "cpu")
    assert described["layers"] == 2
    assert (described["random_weights"], described["data_dependent_stopping"]) == (False, True)
    assert described["fingerprint"] == load_model("other", intact, "float32", "cpu").fingerprint
    assert json.loads(json.dumps(described)) == described


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_the_fingerprint_changes_with_every_file_that_matters(copy: Path, name: str) -> None:
    before = checkpoint.fingerprint(copy)
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert checkpoint.fingerprint(copy) != before


@pytest.mark.parametrize("family", ["llama", "unheard_of", None])
def test_an_architecture_without_an_adapter_is_refused_with_those_that_have_one(copy: Path, family: str | None) -> None:
    edit_config(copy, lambda config: config.update(model_type=family))
    known = ", ".join(sorted(ADAPTERS))
    assert refusal(copy) == f"model 'mine': architecture '{family}' is not supported; supported: {known}"


@pytest.mark.parametrize("scaling", ["linear", "yarn"])
def test_rope_that_depends_on_the_length_is_refused(copy: Path, scaling: str) -> None:
    more = {"rope_type": scaling, "factor": 2.0, "original_max_position_embeddings": 1024}
    edit_config(copy, lambda config: config["text_config"]["rope_parameters"].update(more))
    assert refusal(copy) == (
        f"model 'mine': RoPE scaling '{scaling}' may depend on the prompt's length; stored keys cannot be reused"
    )


def test_sliding_window_attention_is_refused(copy: Path) -> None:
    more = {"layer_types": ["full_attention", "sliding_attention"], "use_sliding_window": True, "sliding_window": 8}
    edit_config(copy, lambda config: config["text_config"].update(more))
    assert refusal(copy) == ("model 'mine': sliding-window attention is not supported: set use_sliding_window to false")


def test_the_flat_configuration_of_published_checkpoints_is_read(copy: Path) -> None:
    def flatten(config: dict[str, Any]) -> None:
        text = config.pop("text_config")
        rope = text.pop("rope_parameters")
        config.update({key: value for key, value in text.items() if key not in ("model_type", "layer_types")})
        config["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
        config["rope_theta"] = rope["rope_theta"]

    nested = load_model("mine", copy, "float32", "cpu").adapter
    edit_config(copy, flatten)
    flat = load_model("mine", copy, "float32", "cpu").adapter
    assert flat.shape == nested.shape
    positions = torch.arange(60).view(3, 20)
    for first, second in zip(flat.rotary(positions), nested.rotary(positions), strict=True):
        assert torch.equal(first, second)


def test_missing_weights_are_refused_rather_than_drawn_at_random(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    name = next(name for name in weights if "q_proj" in name)
    del weights[name]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert refusal(copy).startswith("model 'mine': its files lack 1 of the model's weights, ")


def test_weights_of_another_shape_are_refused(copy: Path) -> None:
    edit_config(copy, lambda config: config["text_config"].update(intermediate_size=64))
    assert refusal(copy).startswith("model 'mine' cannot be loaded: ")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.safetensors", lambda data: data[:-1000]),
        ("model.safetensors", lambda data: b"no weights"),
        ("config.json", lambda data: b"{"),
    ],
)
def test_a_damaged_file_is_refused(copy: Path, file: str, damage: Callable[[bytes], bytes]) -> None:
    (copy / file).write_bytes(damage((copy / file).read_bytes()))
    assert refusal(copy).startswith("model 'mine' cannot be loaded: ")


def test_a_missing_tokenizer_is_refused(copy: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copy / name).unlink()
    assert "its tokenizer does not encode <|image_pad|> as" in refusal(copy)


def test_a_missing_chat_template_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    assert refusal(copy) == "model 'mine': its tokenizer has no chat template"


def test_a_missing_image_processor_is_refused(copy: Path) -> None:
    (copy / "preprocessor_config.json").unlink()
    assert refusal(copy).startswith("model 'mine' cannot be loaded: Can't load image processor")


def test_the_reason_is_the_first_line_that_says_something(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ImportError("\n  a library is missing.  \nInstall it.\n")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", refuse)
    assert refusal(copy) == "model 'mine' cannot be loaded: a library is missing. (in the tokenizer)"


def test_an_error_without_words_has_at_least_a_name(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise KeyError

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", refuse)
    assert refusal(copy) == "model 'mine' cannot be loaded: KeyError (in the tokenizer)"


def test_a_device_that_is_not_there_is_refused(intact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert refusal(intact, device="cuda") == (
        "device 'cuda' was asked for, but torch sees no CUDA device: use --device cpu"
    )
