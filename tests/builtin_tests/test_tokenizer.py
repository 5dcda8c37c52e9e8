"""The embedded model's tokenizer: lossless for any text, and one token for whatever is an answer."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from runners.builtin.tokenizer import SPECIAL_TOKENS, build_tokenizer
from workloads.synthetic.prose import NOTHING, OPENINGS, QUESTION_FORMS, SYSTEM

TOKENIZER = build_tokenizer()


@given(st.text())
def test_any_text_survives(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@pytest.mark.parametrize("text", ["", " a  b \n\n", "naïve Ω 東京 🙂", "<|im_end|>", "\u200d\x00\ufffd", "12.5 %"])
def test_awkward_text_survives(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@pytest.mark.parametrize("word", [*string.ascii_letters, *string.digits, *"#*+@&", NOTHING, *SPECIAL_TOKENS])
def test_answers_and_names_are_one_token_wherever_they_stand(word: str) -> None:
    (token,) = TOKENIZER.encode(word)
    assert TOKENIZER.encode(f"Value of {word}")[-1] == token
    assert TOKENIZER.encode(f"<|im_start|>assistant\n{word}<|im_end|>")[-2] == token


def test_words_of_the_workloads_are_one_token() -> None:
    texts = (
        SYSTEM,
        NOTHING,
        *OPENINGS,
        *(form.replace("{0}", "").replace("{1}", "") for form in QUESTION_FORMS.values()),
    )
    for word in {word.strip(".,") for text in texts for word in text.split()}:
        assert len(TOKENIZER.encode(word)) == 1, word


def test_it_is_the_same_every_time() -> None:
    again = build_tokenizer()
    assert isinstance(TOKENIZER, PreTrainedTokenizerFast)
    assert again.backend_tokenizer.to_str() == TOKENIZER.backend_tokenizer.to_str()
    assert (TOKENIZER.eos_token, TOKENIZER.pad_token) == ("<|im_end|>", "<|endoftext|>")


def test_the_template_writes_text_and_media_in_order() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "S"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "A"},
                {"type": "image"},
                {"type": "video"},
                {"type": "text", "text": "B"},
            ],
        },
    ]
    assert TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nS<|im_end|>\n"
        "<|im_start|>user\nA<|vision_start|><|image_pad|><|vision_end|><|vision_start|><|video_pad|><|vision_end|>B"
        "<|im_end|>\n<|im_start|>assistant\n"
    )
