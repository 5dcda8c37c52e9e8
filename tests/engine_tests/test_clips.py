"""Clips in prompts of the families that take them, against the stock forward on the same patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from runners.methods.encoder_cache import EncoderCache
from runners.methods.full_recompute import FullRecompute
from runners.methods.full_reuse import FullReuse
from workloads.records import Media

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")
PAD = "<|video_pad|>"
PLACE = f"<|vision_start|>{PAD}<|vision_end|>"
STEPS, PADS = 3, 12  # of a clip in the laboratory, pads in each step


@pytest.fixture(scope="module", params=FAMILIES)
def lab(request: pytest.FixtureRequest, lab_of: Callable[[str], Any]) -> Any:
    return lab_of(request.param)


def expected(lab: Any, clip: Media, before: str, after: str) -> Any:
    """First-token logits of the stock forward."""
    chat = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": before}, {"type": "video"}, {"type": "text", "text": after}],
        },
    ]
    text = lab.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    pixels = lab.adapter.preprocess(clip)
    frames = "".join(f"<{seconds:.1f} seconds>{PLACE}" for seconds in pixels.grid.timestamps)
    text = text.replace(PLACE, frames if lab.family.startswith("qwen3") else PLACE.replace(PAD, PAD * STEPS))
    ids = lab.tokenizer(text.replace(PAD, PAD * PADS), return_tensors="pt").input_ids
    seconds = {"second_per_grid_ts": torch.tensor([1.0])} if lab.family == "qwen2_5_vl" else {}
    with torch.no_grad():
        return lab.stock(
            input_ids=ids,
            mm_token_type_ids=(ids == lab.stock.config.video_token_id).int() * 2,
            pixel_values_videos=pixels.values,
            video_grid_thw=torch.tensor([[STEPS, pixels.grid.height, pixels.grid.width]]),
            **seconds,
        ).logits[0, -1]


def test_a_clip_equals_the_stock_forward_on_the_same_patches(lab: Any) -> None:
    clip = lab.clip(0)
    grid = lab.adapter.preprocess(clip).grid
    assert (grid.time, grid.seconds_per_step, grid.timestamps) == (STEPS, 1.0, (0.25, 1.25, 2.25))
    request = lab.ask("Watch ", clip, " what moved?")
    logits = expected(lab, clip, "Watch ", " what moved?").numpy()
    lab.assert_equal(lab.answer(FullRecompute(), request), logits)
    lab.assert_equal(lab.answer(EncoderCache(), request, request), logits)


def test_a_clip_that_moved_is_reused_whole(lab: Any) -> None:
    clip = lab.clip(0)
    response = lab.answer(FullReuse(), lab.ask("Watch ", clip, "?"), lab.ask("Watch now ", lab.picture(1), clip, "?"))
    assert response.cache is not None
    assert response.cache.kv_hits == 1
    tokens = lab.adapter.media_tokens(lab.adapter.preprocess(clip).grid)
    assert response.cache.vision_tokens == tokens + 20
    assert response.cache.computed_token_layers == 20 * response.cache.layers


def test_positions_of_a_clip_end_where_the_next_token_begins(lab: Any) -> None:
    grid = lab.adapter.preprocess(lab.clip(0)).grid
    positions = lab.adapter.media_positions(grid)
    assert positions.shape == (3, lab.adapter.media_tokens(grid)) == (3, len(lab.adapter.media_ids(grid)))
    assert positions.min() == 0
    if lab.family.startswith("qwen3"):
        assert positions.max() == lab.adapter.media_advance(grid) - 1
