"""Only files of the model's own folder are loaded, safetensors alone, all of them hashed; bad ones are one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from runners.models.checkpoint import fingerprint
from runners.models.files import BOUNDS, INDEX, WHOLE
from runners.models.load import load_model, resolve_model
from workloads.errors import UsageError

SECONDS = 2.0


@pytest.fixture(scope="module", autouse=True)
def _warm(intact: Path) -> None:
    load_model("warm", intact, "float32", "cpu")  # imports take longer than anything that is timed here


def refusal(path: Path) -> str:
    start = time.perf_counter()
    with pytest.raises(UsageError) as caught:
        load_model("mine", resolve_model(str(path)), "float32", "cpu")
    assert time.perf_counter() - start < SECONDS
    line = str(caught.value)
    assert line.isprintable()
    assert line.startswith("model 'mine'")
    return line


def shard(path: Path, second: str) -> None:
    """Split the weights in two, an index beside them: the second part may be called anything."""
    weights = load_file(path / WHOLE)
    names = sorted(weights)
    first, rest = names[::2], names[1::2]
    save_file({name: weights[name] for name in first}, path / "a.safetensors", metadata={"format": "pt"})
    save_file({name: weights[name] for name in rest}, path / "b.safetensors", metadata={"format": "pt"})
    (path / WHOLE).unlink()
    index(path, dict.fromkeys(first, "a.safetensors") | dict.fromkeys(rest, second))


def index(path: Path, weight_map: Any) -> None:
    (path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_shards_beside_their_index_are_loaded_and_hashed(copy: Path) -> None:
    shard(copy, "b.safetensors")
    before = load_model("mine", resolve_model(str(copy)), "float32", "cpu").fingerprint
    weights = load_file(copy / "b.safetensors")
    weights[next(iter(weights))].add_(1.0)
    save_file(weights, copy / "b.safetensors", metadata={"format": "pt"})
    assert fingerprint(copy) != before


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("../elsewhere.safetensors", "weights are read from the model's own folder alone"),
        ("sub/x.safetensors", "weights are read from the model's own folder alone"),
        ("{absolute}", "weights are read from the model's own folder alone"),
        ("w.bin", "weights are read from *.safetensors alone"),
        ("b.safetensors/", "weights are read from the model's own folder alone"),
        ("sub\\x.safetensors", "weights are read from the model's own folder alone"),
    ],
)
def test_an_index_that_names_other_files_is_refused(copy: Path, tmp_path: Path, place: str, told: str) -> None:
    place = place.replace("{absolute}", str(tmp_path / "elsewhere.safetensors"))
    shard(copy, place)
    (copy / "sub").mkdir()
    target = copy / place
    if place.endswith(".bin"):
        torch.save(load_file(copy / "b.safetensors"), target)
    elif not place.endswith("/"):
        shutil.copy(copy / "b.safetensors", target)
    assert f"{INDEX} names " in (line := refusal(copy))
    assert line.endswith(told)


@pytest.mark.parametrize("weight_map", [None, [], {}, {"a": 1}, {"a": ["b"]}, "x", {"a": ""}, {"a": "\x1b[31m"}])
def test_an_index_that_is_none_is_refused(copy: Path, weight_map: Any) -> None:
    (copy / WHOLE).rename(copy / "b.safetensors")
    index(copy, weight_map)
    assert INDEX in refusal(copy)


def test_whole_weights_go_before_an_index_which_then_is_not_read(copy: Path) -> None:
    before = fingerprint(copy)
    index(copy, {"a": "../x.bin"})
    (copy / "other.safetensors").write_bytes(b"not loaded, so not hashed")
    assert load_model("mine", copy, "float32", "cpu").fingerprint == before


def test_what_transformers_would_prefer_to_the_weights_is_refused(copy: Path) -> None:
    shutil.copy(copy / WHOLE, copy / "shard-00001-model-00001-of-00001.safetensors")
    assert "is part of a distributed checkpoint" in refusal(copy)


@pytest.mark.parametrize(
    ("file", "more"),
    [
        ("config.json", {"transformers_weights": "other.safetensors"}),
        ("config.json", {"configuration_files": ["config.9.0.0.json"]}),
        ("config.json", {"vision_config": {"backbone": "owner/name", "use_pretrained_backbone": True}}),
        ("config.json", {"_attn_implementation": "owner/kernel"}),
        ("config.json", {"text_config": {"attn_implementation": "owner/kernel@main:f"}}),
        ("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer.9.0.0.json"]}),
    ],
)
def test_settings_that_lead_to_other_files_are_refused(copy: Path, file: str, more: dict[str, Any]) -> None:
    (copy / file).write_text(json.dumps(json.loads((copy / file).read_text()) | more))
    line = refusal(copy)
    assert line.startswith(f"model 'mine' cannot be loaded: {file}: ")
    assert line.endswith("; remove it")


def test_code_beside_a_model_is_not_run(copy: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (copy / "custom_generate").mkdir()
    for name in ("modeling.py", "custom_generate/generate.py"):
        (copy / name).write_text(f"open({str(mark)!r}, 'w')\nclass Mine: pass\n")
    for name, auto in (
        ("config.json", {"AutoConfig": "modeling.Mine", "AutoModelForImageTextToText": "modeling.Mine"}),
        ("tokenizer_config.json", {"AutoTokenizer": ["modeling.Mine", "modeling.Mine"]}),
        ("preprocessor_config.json", {"AutoImageProcessor": "modeling.Mine"}),
    ):
        (copy / name).write_text(json.dumps(json.loads((copy / name).read_text()) | {"auto_map": auto}))
    with suppress(UsageError):
        load_model("mine", copy, "float32", "cpu")
    assert not mark.exists()


@pytest.mark.parametrize("name", [WHOLE, "config.json", "tokenizer.json", "chat_template.jinja", "vlcache.yaml"])
def test_a_link_out_of_the_folder_is_refused(copy: Path, tmp_path: Path, name: str) -> None:
    if not (copy / name).exists():
        (copy / name).write_text("{}")
    (copy / name).rename(tmp_path / name)
    (copy / name).symlink_to(tmp_path / name)
    with pytest.raises(UsageError, match=rf"{name} is a link out of the model's folder"):
        load_model("mine", copy, "float32", "cpu")


def test_a_folder_that_is_a_link_and_links_within_it_are_followed(copy: Path, tmp_path: Path) -> None:
    (copy / WHOLE).rename(copy / "weights")
    (copy / WHOLE).symlink_to("weights")
    (tmp_path / "link").symlink_to(copy)
    assert load_model("mine", tmp_path / "link", "float32", "cpu").fingerprint == fingerprint(copy)


def test_a_link_in_a_snapshot_leads_to_its_own_blobs_alone(intact: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / "c"
    shutil.copytree(intact, snapshot)
    (snapshot / WHOLE).rename(tmp_path / "secret")
    (snapshot / WHOLE).symlink_to("../../../secret")
    with pytest.raises(UsageError, match="is a link out of the model's folder"):
        fingerprint(snapshot)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 << 30)


def folder(path: Path) -> None:
    path.mkdir()


def deep(path: Path) -> None:
    path.write_text('{"a":' * 100_000)


@pytest.mark.parametrize("make", [fifo, zero, sparse, folder, deep])
@pytest.mark.parametrize(
    "name",
    [
        *("config.json", INDEX, "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"),
        *("processor_config.json", "chat_template.json", "chat_template.jinja", "generation_config.json", WHOLE),
        *("video_preprocessor_config.json", "vlcache.yaml", "merges.txt", "adapter_config.json"),
    ],
)
def test_what_is_no_file_and_what_never_ends_is_refused_at_once(
    copy: Path, name: str, make: Callable[[Path], None]
) -> None:
    if name == INDEX:
        (copy / WHOLE).rename(copy / "b.safetensors")
    if name == "adapter_config.json":
        shutil.copy(copy / WHOLE, copy / "adapter_model.safetensors")
    (copy / name).unlink(missing_ok=True)
    make(copy / name)
    if make is deep and name in ("merges.txt", "chat_template.jinja"):
        load_model("mine", copy, "float32", "cpu")  # a text like others
        return
    start = time.perf_counter()
    with pytest.raises(UsageError, match=re.escape(name)) as caught:
        load_model("mine", resolve_model(str(copy)), "float32", "cpu")
    assert time.perf_counter() - start < SECONDS
    assert str(caught.value).isprintable()


def test_a_header_of_weights_that_lies_is_refused(copy: Path) -> None:
    (copy / WHOLE).write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    refusal(copy)
    header = json.dumps({"lm_head.weight": {"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 4]}})
    (copy / WHOLE).write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
    refusal(copy)


def test_a_config_that_asks_for_more_than_the_files_hold_allocates_nothing(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["text_config"] |= {"num_hidden_layers": 200, "intermediate_size": 1 << 20, "layer_types": None}
    (copy / "config.json").write_text(json.dumps(config))
    assert "config.json describes a model of " in refusal(copy)


def test_every_bound_is_of_a_known_size() -> None:
    assert all(1 << 20 <= most <= 64 << 20 for most in BOUNDS.values())
