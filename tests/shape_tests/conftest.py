"""The published shapes made tiny: the same data file and the same code, with small numbers in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runners.models.shapes import catalogue
from runners.models.shapes.catalogue import PUBLISHED, Shape, published

FIRST_ID = 600  # of the special tokens, behind the tokenizer's own
VOCABULARY = 640
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
VISION = {"hidden_size": 32, "intermediate_size": 48}
PINPOINTS = [[56, 112], [112, 56], [112, 112]]
QWEN3_VISION = {"depth": 2, "num_heads": 2, "out_hidden_size": 64, "deepstack_visual_indexes": [0, 1]}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
SMALLER: dict[str, dict[str, dict[str, Any]]] = {
    "qwen2_5_vl": {"vision_config": {"depth": 2, "num_heads": 2, "out_hidden_size": 64, "fullatt_block_indexes": [1]}},
    "qwen3_vl": {"text_config": {"head_dim": 16}, "vision_config": QWEN3_VISION},
    "qwen3_vl_moe": {"text_config": {"head_dim": 16, **EXPERTS}, "vision_config": QWEN3_VISION},
    "llava_onevision": {
        "vision_config": {"num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56},
        "image_processor": {"size": {"height": 56, "width": 56}, "image_grid_pinpoints": PINPOINTS},
        "config": {"image_grid_pinpoints": PINPOINTS},
    },
    "internvl": {
        "vision_config": {"num_hidden_layers": 2, "num_attention_heads": 2, "image_size": [56, 56]},
        "image_processor": {"size": {"height": 56, "width": 56}},
        "config": {"image_seq_length": 4},
    },
}
FAMILIES = sorted({shape.family.name for shape in published().values()})


def _tiny(told: dict[str, Any]) -> dict[str, Any]:
    """The data file with one tiny shape for each family, named like it."""
    first = {facts["family"]: facts for facts in reversed(told["shapes"].values())}
    shapes = {}
    for name, family in told["families"].items():
        smaller = SMALLER[name]
        ids = {number: FIRST_ID + place for place, number in enumerate(sorted(family["tokens"].values()))}
        family["tokens"] = {token: ids[number] for token, number in family["tokens"].items()}
        family["config"] = {key: _mapped(value, ids) for key, value in family["config"].items()}
        family["config"] |= smaller.get("config", {})
        family["image_processor"] |= smaller.get("image_processor", {})
        config = first[name]["config"]
        config["text_config"] |= TEXT | smaller.get("text_config", {})
        config["vision_config"] |= VISION | smaller["vision_config"]
        if "mrope_section" in config["text_config"]["rope_parameters"]:
            config["text_config"]["rope_parameters"] |= {"mrope_section": [2, 3, 3]}
        shapes[name] = first[name]
    return {"families": told["families"], "shapes": shapes}


def _mapped(value: Any, ids: dict[int, int]) -> Any:
    return ids.get(value, value) if type(value) is int else value


class _WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _plain(path: Path) -> Any:
    """The data of a YAML file, nothing shared between its parts."""
    return yaml.safe_load(yaml.dump(yaml.safe_load(path.read_text("utf-8")), Dumper=_WithoutAliases))


@pytest.fixture
def tiny_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Shape]:
    """``shape:FAMILY`` is a tiny model of that family; returns what looks one up."""
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(_tiny(_plain(PUBLISHED)), sort_keys=False), "utf-8")
    monkeypatch.setattr(catalogue, "PUBLISHED", file)
    return catalogue.find_shape


@pytest.fixture(params=FAMILIES)
def shape(request: pytest.FixtureRequest, tiny_shapes: Callable[[str], Shape]) -> Shape:
    """A tiny shape of every family."""
    return tiny_shapes(request.param)
