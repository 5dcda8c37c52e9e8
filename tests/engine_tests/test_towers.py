"""What is special to the families with a vision tower before plain positions: tiles, frames, sizes and templates."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlavaConfig, LlavaForConditionalGeneration

from runners.engine.adapters.registry import REFUSED, build_adapter, require_supported
from runners.engine.adapters.template import adopt_template
from runners.engine.errors import MediaError, UnsupportedModel
from runners.engine.kv.workspace import Workspace
from runners.methods.encoder_cache import EncoderCache
from runners.methods.full_recompute import FullRecompute
from runners.methods.full_reuse import FullReuse
from runners.models.files import ModelFiles
from workloads.records import Media

TOWERS = ("internvl", "llava", "llava_onevision")
WITH_CLIPS = ("internvl", "llava_onevision")
TEXT = {"vocab_size": 400, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "initializer_range": 0.1}
SIGLIP = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def blank(width: int, height: int, name: str = "blank.png") -> Media:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (9, 90, 200)).save(buffer, format="PNG")
    return Media("image", buffer.getvalue(), name)


def altered(lab: Any, **changes: Any) -> Any:
    """The laboratory with another random LLaVA: ``changes`` are of its config."""
    torch.manual_seed(1)
    model = LlavaForConditionalGeneration(LlavaConfig(**(lab.stock.config.to_dict() | changes))).eval()
    tokenizer = copy.copy(lab.tokenizer)
    tokenizer.chat_template = lab._own.TEMPLATE
    other = copy.copy(lab)
    other.stock, other.adapter = model, build_adapter(model, tokenizer, lab.images)
    other.workspace = Workspace(other.adapter.kv_shape)
    return other


@pytest.mark.parametrize(
    "changes",
    [
        {"vision_feature_select_strategy": "full"},
        {"vision_feature_layer": [-2, 1, -1]},
        {"vision_config": {"model_type": "siglip_vision_model", "image_size": 48, "patch_size": 8, **SIGLIP}},
        {"text_config": {"model_type": "qwen2", **TEXT, **HEADS}},
        {"text_config": {"model_type": "qwen3", **TEXT, **HEADS}},
    ],
)
def test_every_kind_of_llava_equals_its_stock_forward(lab_of: Callable[[str], Any], changes: dict[str, Any]) -> None:
    lab = altered(lab_of("llava"), **changes)
    request = lab.ask("One ", lab.picture(0), " and ", lab.picture(1), "?")
    lab.assert_equal(lab.answer(FullRecompute(), request), lab.stock_logits(request))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"text_config": {"model_type": "gemma", **TEXT, **HEADS}},
            "its text model 'gemma' is not supported; supported: llama, qwen2, qwen3",
        ),
        (
            {"vision_config": {"model_type": "dinov2", "image_size": 48, "patch_size": 8, **SIGLIP}},
            "its vision tower 'dinov2' is not supported; supported: clip_vision_model, siglip_vision_model",
        ),
    ],
)
def test_parts_that_no_adapter_knows_are_refused(
    lab_of: Callable[[str], Any], changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        altered(lab_of("llava"), **changes)
    assert str(caught.value) == line


@pytest.mark.parametrize("family", REFUSED)
def test_families_that_cannot_be_exact_are_refused_with_the_reason(family: str) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        require_supported(family)
    assert str(caught.value) == f"architecture '{family}' cannot be reused exactly: {REFUSED[family]}"


@pytest.mark.parametrize("family", TOWERS)
@pytest.mark.parametrize("alone", [True, False])
def test_the_encoders_work_is_what_torch_counts(lab_of: Callable[[str], Any], family: str, alone: bool) -> None:
    adapter = lab_of(family).adapter
    picture = lab_of(family).picture(0)
    pixels = adapter.preprocess(picture, adapter.variant([picture] if alone else [picture, picture]))
    vision = adapter._model.vision_tower
    vision.set_attn_implementation("eager")  # torch counts no fused attention on a CPU
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            adapter.encode([pixels])
    finally:
        vision.set_attn_implementation("sdpa")
    assert adapter.encoder_flops(pixels.grid) == counter.get_total_flops()


@hypothesis_settings(max_examples=40)
@given(width=st.integers(1, 400), height=st.integers(1, 400), alone=st.booleans())
@pytest.mark.parametrize("family", TOWERS)
def test_a_picture_of_any_size_has_as_many_tokens_as_the_family_says(
    lab_of: Callable[[str], Any], family: str, width: int, height: int, alone: bool
) -> None:
    lab = lab_of(family)
    picture = blank(width, height)
    if max(width, height) > 200 * min(width, height) and family != "internvl":
        return
    content = [picture] if alone else [picture, picture]
    request = lab.ask(*content, "?")
    pixels = lab.adapter.preprocess(picture, lab.adapter.variant(content))
    expected = int((lab.stock_inputs(request)["input_ids"] == lab.stock.config.image_token_id).sum())
    assert lab.adapter.media_tokens(pixels.grid) * len(content) == expected
    with torch.inference_mode():
        assert len(lab.adapter.encode([pixels])[0]) == lab.adapter.media_tokens(pixels.grid)


@pytest.mark.parametrize("family", ["llava", "llava_onevision"])
@pytest.mark.parametrize(
    ("width", "height", "line"),
    [
        (401, 2, "an aspect ratio above 200 is not taken; crop it"),
        (20_001, 101, "an edge of 20001 pixels is too long for this model; scale it down"),
    ],
)
def test_shapes_that_would_be_scaled_up_to_huge_ones_are_refused(
    lab_of: Callable[[str], Any], family: str, width: int, height: int, line: str
) -> None:
    with pytest.raises(MediaError) as caught:
        lab_of(family).adapter.preprocess(blank(width, height))
    assert str(caught.value) == f"blank.png: {line}"


@pytest.mark.parametrize("family", TOWERS)
def test_a_processor_of_another_size_than_the_tower_is_named(
    lab_of: Callable[[str], Any], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = copy.copy(lab_of(family).adapter._image_processor)
    edge = lab_of(family)._own.EDGE
    for setting in ("size", "crop_size"):
        if getattr(images, setting, None) is not None:
            kind = type(getattr(images, setting))
            setattr(images, setting, kind(height=edge + 8, width=edge + 8))
    monkeypatch.setattr(lab_of(family).adapter, "_image_processor", images)
    with pytest.raises(MediaError) as caught:
        lab_of(family).adapter.preprocess(blank(60, 50))
    assert str(caught.value) == (
        f"blank.png: the image processor makes {edge + 8}x{edge + 8} pixels of it, but the model's vision encoder "
        f"takes {edge}x{edge}; mend the size in its preprocessor_config.json"
    )


def with_clip(lab: Any, clip: Media, before: str, after: str) -> dict[str, Any]:
    """What the stock forward takes for a clip between texts, on the adapter's own frames."""
    chat = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": before}, {"type": "video"}, {"type": "text", "text": after}],
        },
    ]
    text = lab.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    frames = lab.adapter.preprocess(clip).values
    processor = lab._own.processor(lab)
    told = processor.replace_video_token({"pixel_values_videos": [frames]}, 0)
    ids = lab.tokenizer(text.replace("<video>", told), return_tensors="pt").input_ids
    values = {"pixel_values": frames} if lab.family == "internvl" else {"pixel_values_videos": frames[None]}
    return {"input_ids": ids, **values}


@pytest.mark.parametrize("family", WITH_CLIPS)
@pytest.mark.parametrize("before", ["Watch", "Watch ", "Watch\n"])
def test_a_clip_equals_the_stock_forward_on_the_same_frames(
    lab_of: Callable[[str], Any], family: str, before: str
) -> None:
    lab = lab_of(family)
    clip = lab.clip(0)
    request = lab.ask(before, clip, " what moved?")
    with torch.no_grad():
        logits = lab.stock(**with_clip(lab, clip, before, " what moved?")).logits[0, -1].numpy()
    lab.assert_equal(lab.answer(FullRecompute(), request), logits)
    lab.assert_equal(lab.answer(EncoderCache(), request, request), logits)


@pytest.mark.parametrize("family", WITH_CLIPS)
def test_a_clip_that_moved_is_reused_whole(lab_of: Callable[[str], Any], family: str) -> None:
    lab = lab_of(family)
    clip, a, b = lab.clip(0), lab.picture(0), lab.picture(1)
    response = lab.answer(FullReuse(), lab.ask("Watch ", clip, a, b, "?"), lab.ask("Now ", b, a, clip, "?"))
    assert response.cache is not None
    assert (response.cache.kv_hits, response.cache.computed_token_layers) == (3, 0)


def test_the_mark_before_a_medium_and_the_number_of_the_first_frame_are_text(lab_of: Callable[[str], Any]) -> None:
    lab = lab_of("internvl")
    prompt = lab.adapter.render(lab.ask("See", lab.picture(0), "and", lab.clip(0), "now").messages)
    first, between, last = (lab.tokenizer.decode(list(text)) for text in prompt.texts)
    assert first.endswith("See<img>")
    assert between == "</img>\nandFrame1: <img>"
    assert last.startswith("</img>\nnow")
    grid = lab.adapter.preprocess(lab.clip(0)).grid
    pads = "<IMG_CONTEXT>" * 4
    assert lab.tokenizer.decode(lab.adapter.media_ids(grid)) == "".join(
        [pads, *(f"</img>\nFrame{number}: <img>{pads}" for number in range(2, grid.time + 1))]
    )


def test_media_stand_in_the_order_that_the_template_puts_them_in(lab_of: Callable[[str], Any]) -> None:
    lab = lab_of("llava_onevision")
    a, b, clip = lab.picture(0), lab.picture(1), lab.clip(0)
    prompt = lab.adapter.render(lab.ask("first ", clip, "then ", b, "and ", a).messages)
    assert prompt.media == (b, a, clip)


def test_a_picture_alone_is_another_than_among_others(lab_of: Callable[[str], Any]) -> None:
    lab = lab_of("llava_onevision")
    a, b = lab.picture(0), lab.picture(1)
    alone, among, beside_a_clip = lab.ask(a, "?"), lab.ask(a, b, "?"), lab.ask(a, lab.clip(0), "?")
    engine = lab.engine(EncoderCache())
    hits = [engine.answer(request).cache.encoder_hits for request in (alone, among, alone, among, beside_a_clip)]
    assert hits == [0, 0, 1, 2, 1]
    lab.assert_equal(engine.answer(alone), lab.stock_logits(alone))
    lab.assert_equal(engine.answer(among), lab.stock_logits(among))


def test_an_image_processor_with_other_tiles_than_the_model_is_refused(lab_of: Callable[[str], Any]) -> None:
    lab = lab_of("llava_onevision")
    images = copy.copy(lab.images)
    images.image_grid_pinpoints = [[32, 32]]
    with pytest.raises(UnsupportedModel, match="differ in image_grid_pinpoints"):
        build_adapter(lab.stock, lab.tokenizer, images)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "own"),
        ({"chat_template.json": {"chat_template": "json"}}, "json"),
        ({"processor_config.json": {"patch_size": 14}}, "own"),
        ({"processor_config.json": {}, "chat_template.json": {"chat_template": "json"}}, "json"),
        ({"processor_config.json": {"chat_template": "p"}, "chat_template.json": {"chat_template": "json"}}, "p"),
    ],
)
def test_the_processors_chat_template_goes_before_the_tokenizers(
    tmp_path: Path, files: dict[str, Any], expected: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    tokenizer = SimpleNamespace(chat_template="own")
    model = ModelFiles(tmp_path, tuple(files), weights=(), adapter=False)
    adopt_template(tokenizer, model.settings, model.read)
    assert tokenizer.chat_template == expected
