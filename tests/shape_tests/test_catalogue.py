"""The published facts fit together, and to the sizes that these models are known by."""

from __future__ import annotations

import pytest
import torch
from transformers import GotOcr2ImageProcessorPil, LlavaOnevisionImageProcessorPil, Qwen2VLImageProcessorPil

from runners.models.shapes.assembly import outline
from runners.models.shapes.catalogue import Shape, find_shape, published
from workloads.errors import UsageError

SHAPES = published()
PROCESSORS = {
    kind.__name__: kind
    for kind in (GotOcr2ImageProcessorPil, LlavaOnevisionImageProcessorPil, Qwen2VLImageProcessorPil)
}


@pytest.fixture(params=SHAPES)
def published_shape(request: pytest.FixtureRequest) -> Shape:
    return SHAPES[request.param]


def test_a_shape_has_as_many_parameters_as_are_told(published_shape: Shape) -> None:
    parameters = sum(parameter.numel() for parameter in outline(published_shape, torch.bfloat16).parameters())
    assert float(f"{parameters / 1e9:.3g}") == published_shape.billions


def test_every_fact_is_known_to_the_configuration(published_shape: Shape) -> None:
    config = outline(published_shape, torch.bfloat16).config
    for name, value in published_shape.config.items():
        part = getattr(config, name)
        facts = {name: value} if not isinstance(value, dict) else value
        for key, fact in facts.items():
            found = part if not isinstance(value, dict) else getattr(part, key)
            if isinstance(fact, dict):
                assert {inner: found[inner] for inner in fact} == fact
            else:
                assert (list(found) if isinstance(found, tuple) else found) == fact


def test_token_ids_in_the_configuration_are_those_of_the_special_tokens(published_shape: Shape) -> None:
    family = published_shape.family
    told = {value for key, value in published_shape.config.items() if key.endswith(("token_id", "token_index"))}
    assert told
    assert told <= set(family.tokens.values())
    assert len(set(family.tokens.values())) == len(family.tokens)
    assert set(family.names.values()) <= set(family.tokens)


def test_patches_of_the_image_processor_are_those_of_the_encoder(published_shape: Shape) -> None:
    settings = dict(published_shape.family.image_processor)
    processor = PROCESSORS[settings.pop("class")](**settings)
    vision = published_shape.config["vision_config"]
    for ours, theirs in {"patch_size": "patch_size", "merge_size": "spatial_merge_size"}.items():
        if ours in settings:
            assert getattr(processor, ours) == vision[theirs]
    if "image_size" in vision:
        sides = vision["image_size"] if isinstance(vision["image_size"], list) else [vision["image_size"]] * 2
        assert [processor.size["height"], processor.size["width"]] == sides


def test_a_near_miss_of_a_shape_is_suggested() -> None:
    with pytest.raises(UsageError, match=r"^unknown shape 'qwen2\.5-vl-8b': did you mean 'qwen2\.5-vl-\d+b'\?$"):
        find_shape("qwen2.5-vl-8b")
