"""Any text encodes, special tokens stand where the family has them, and prompts read as the family's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.models.shapes.catalogue import published
from runners.models.shapes.tokenizer import build_shape_tokenizer
from workloads.synthetic.prose import SYSTEM

FAMILIES = {shape.family.name: shape.family for shape in published().values()}
TOKENIZERS = {name: build_shape_tokenizer(family) for name, family in FAMILIES.items()}
CHAT: list[Any] = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "This"}, {"type": "image"}, {"type": "text", "text": "that"}],
    },
    {"role": "assistant", "content": "Yes"},
    {"role": "user", "content": [{"type": "video"}, {"type": "image"}, {"type": "text", "text": "So?"}]},
]
PADS = "<|vision_start|><|{}_pad|><|vision_end|>"
IMAGE, VIDEO = PADS.format("image"), PADS.format("video")
QWEN = (
    f"<|im_start|>user\nThis{IMAGE}that<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n"
    f"<|im_start|>user\n{VIDEO}{IMAGE}So?<|im_end|>\n<|im_start|>assistant\n"
)
WRITTEN = {
    "qwen2_5_vl": f"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{QWEN}",
    "qwen3_vl": QWEN,
    "qwen3_vl_moe": QWEN,
    "llava_onevision": (
        "<|im_start|>user\n<image>\nThisthat<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n"
        "<|im_start|>user\n<image>\n<video>\nSo?<|im_end|>\n<|im_start|>assistant\n"
    ),
    "internvl": (
        "<|im_start|>user\nThis<IMG_CONTEXT>\nthat<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n"
        "<|im_start|>user\n<video>\n<IMG_CONTEXT>\nSo?<|im_end|>\n<|im_start|>assistant\n"
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(family: str, text: str) -> None:
    tokenizer = TOKENIZERS[family]
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids) == text
    assert set(ids).isdisjoint(FAMILIES[family].tokens.values()) or any(
        token in text for token in tokenizer.get_vocab()
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_special_tokens_have_their_published_ids(family: str) -> None:
    tokenizer, tokens = TOKENIZERS[family], FAMILIES[family].tokens
    for token, number in tokens.items():
        assert tokenizer.encode(f"a{token}b", add_special_tokens=False)[1:-1] == [number]
    assert tokenizer.decode(list(tokens.values()), skip_special_tokens=True) == ""
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (tokens["<|im_end|>"], tokens["<|endoftext|>"])
    for name, token in FAMILIES[family].names.items():
        assert getattr(tokenizer, name) == token


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_are_written_as_the_family_writes_them(family: str) -> None:
    written = TOKENIZERS[family].apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert written == WRITTEN[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_system_message_stands_in_for_the_familys_own(family: str) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    written = TOKENIZERS[family].apply_chat_template(chat, tokenize=False)
    assert written == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"


def test_words_of_the_workloads_are_one_token_each() -> None:
    words = SYSTEM.split()
    for tokenizer in TOKENIZERS.values():
        assert len(tokenizer.encode(SYSTEM, add_special_tokens=False)) < 3 * len(words)
