"""One device for a model: the one that is asked for, or the one where accelerate finds room."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from runners.builtin.architecture import build_config, build_model
from runners.builtin.tokenizer import build_tokenizer
from runners.engine.attention.sdpa import Sdpa
from runners.models import checkpoint, placement
from runners.models.load import load_model, resolve_model
from runners.models.placement import place
from runners.ranks import Launch
from workloads.errors import UsageError


def outline() -> Any:
    with torch.device("meta"):
        return build_model(build_config(build_tokenizer(), layers=2))


def never() -> Any:
    pytest.fail("outlined")


@pytest.fixture
def accelerate(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """Stands in for accelerate and finds the given device map."""

    def find(found: dict[str, Any]) -> None:
        def infer_auto_device_map(model: Any, no_split_module_classes: list[str]) -> dict[str, Any]:
            assert all(weight.is_meta for weight in model.parameters())
            assert "Qwen2_5_VLDecoderLayer" in no_split_module_classes
            return found

        module = ModuleType("accelerate")
        vars(module)["infer_auto_device_map"] = infer_auto_device_map
        monkeypatch.setitem(sys.modules, "accelerate", module)

    return find


def refusal(device: str = "auto", device_map: str = "auto") -> str:
    with pytest.raises(UsageError) as caught:
        place("mine", device, device_map, outline)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("there", "device", "where"),
    [
        (True, "auto", "cuda"),
        (True, "cuda", "cuda"),
        (True, "cpu", "cpu"),
        (False, "auto", "cpu"),
        (False, "cpu", "cpu"),
    ],
)
def test_a_single_device_is_the_one_asked_for(
    there: bool, device: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert place("mine", device, "single", never) == torch.device(where)


def test_a_map_onto_one_device_is_that_device(accelerate: Callable[[dict[str, Any]], None]) -> None:
    accelerate({"": "cpu"})
    assert place("mine", "auto", "auto", outline) == torch.device("cpu")
    accelerate({"model": 1, "lm_head": 1})
    assert place("mine", "auto", "auto", outline) == torch.device("cuda:1")


@pytest.mark.parametrize(
    ("found", "told"), [({"model": 0, "lm_head": 1}, "0, 1"), ({"a": 0, "b": "cpu"}, "0, cpu"), ({"": "disk"}, "disk")]
)
def test_a_model_is_not_spread(accelerate: Callable[[dict[str, Any]], None], found: dict[str, Any], told: str) -> None:
    accelerate(found)
    assert refusal() == (
        f"model 'mine' fits on no device whole: --device-map auto would spread it over {told}, "
        "and spread models cannot be run yet; use a narrower --dtype or a smaller model"
    )


def test_without_accelerate_the_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert refusal() == "--device-map auto needs accelerate: pip install 'vlcache[device-map]', or drop the option"


def test_one_of_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    assert refusal("cpu", "single").startswith("started by torchrun, but this command runs in one process: torchrun is")


def test_each_of_several_processes_has_the_device_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(placement, "ranks", lambda: 4)
    monkeypatch.setattr(placement, "launched", lambda: Launch(rank=3, size=4, local_rank=1, local_size=2))
    assert place("mine", "auto", "single", never) == torch.device("cuda:1")
    assert place("mine", "cpu", "single", never) == torch.device("cpu")


def test_a_device_and_a_map_exclude_each_other() -> None:
    assert refusal("cpu") == "--device cpu and --device-map auto exclude each other: drop one"


@pytest.mark.parametrize("name", ["builtin", "shape:qwen2.5-vl-3b"])
def test_models_are_placed_before_their_weights_are_made(
    name: str, accelerate: Callable[[dict[str, Any]], None]
) -> None:
    accelerate({"model": 0, "lm_head": "cpu"})
    with pytest.raises(UsageError, match=f"^model '{name}' fits on no device whole: "):
        load_model(name, resolve_model(name), device_map="auto")


def test_a_mapped_model_runs_where_there_is_room(accelerate: Callable[[dict[str, Any]], None]) -> None:
    accelerate({"": "cpu"})
    model = load_model("builtin", resolve_model("builtin"), device_map="auto")
    assert (model.describe()["device"], model.describe()["attention"]) == ("cpu", "sdpa")


@pytest.mark.parametrize(
    ("attention", "line"),
    [
        ("sdpaa", "unknown attention backend 'sdpaa': did you mean 'sdpa'?"),
        ("flash", "attention backend 'flash' cannot be used: it needs a CUDA device; choose another --attn"),
    ],
)
def test_attention_that_cannot_be_had_is_refused_before_weights_are_read(
    attention: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "load_files", None)
    with pytest.raises(UsageError) as caught:
        load_model("builtin", resolve_model("builtin"), device="cpu", attention=attention)
    assert str(caught.value) == line


def test_the_model_carries_the_backend_that_it_names() -> None:
    model = load_model("builtin", resolve_model("builtin"), device="cpu", attention="sdpa")
    assert isinstance(model.adapter.attention, Sdpa)
    assert model.describe()["attention"] == "sdpa"
