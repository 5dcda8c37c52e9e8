"""The reader's parts: SmolLM2 as transformers reads it, the tower, the chat template, the directory."""

from __future__ import annotations

import copy
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from runners.reader import tower
from runners.reader.build import BuildError, image_processor, solve_tower
from runners.reader.printed import Printed

WEIGHTS = "307a3ab69cf4ced7e0a679a9a7fff003ba5ae634b6934a3e6b4f0993d15902ea"
"""SHA-256 of the weights by name, as transformers 5.24 reads the file: ``from_pretrained(gguf_file=...)``.

That reading takes longer than all tests of the reader.
"""

TEMPLATE = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""
"""The chat template in the GGUF file."""


@pytest.fixture(scope="module")
def tokenizer(reader_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(reader_folder)


@pytest.fixture(scope="module")
def model(reader_folder: Path) -> Any:
    return LlavaForConditionalGeneration.from_pretrained(reader_folder).eval()


def test_the_language_model_is_smollm2_as_transformers_reads_it(model: Any) -> None:
    weights = dict(model.model.language_model.named_parameters())
    embeddings = weights["embed_tokens.weight"]
    assert model.lm_head.weight is embeddings
    torch.testing.assert_close(embeddings[-1], embeddings[:-1].mean(dim=0))
    weights["embed_tokens.weight"] = embeddings[:-1]
    hasher = sha256()
    for name in sorted(weights):
        hasher.update(name.encode() + weights[name].detach().numpy().tobytes())
    assert hasher.hexdigest() == WEIGHTS


def test_every_token_is_read_right_in_16_bits_too(model: Any, tokenizer: Any) -> None:
    printed = Printed()
    ids = torch.tensor(printed.token_ids(tokenizer))
    pages = image_processor()(images=printed.pages(), return_tensors="pt")["pixel_values"]
    narrow = copy.deepcopy(model.model.vision_tower).bfloat16(), copy.deepcopy(model.model.multi_modal_projector)
    embeddings = model.get_input_embeddings().weight.detach()
    with patch.multiple(model.model, vision_tower=narrow[0], multi_modal_projector=narrow[1].bfloat16()):
        found = tower.read(model, pages.bfloat16(), len(ids))
    assert torch.equal(tower.nearest(found.float(), embeddings), ids)


def test_digits_are_split_apart_and_texts_come_back(tokenizer: Any) -> None:
    text = "Note  4711: it's 3 o'clock.\n\nÉté, 漢字"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert [tokenizer.decode(ids[place]) for place in range(6)] == ["Note", "  ", "4", "7", "1", "1"]


def test_the_template_is_that_of_smollm2_with_a_placeholder_for_each_picture(tokenizer: Any) -> None:
    chats = (
        [("user", "Hello.")],
        [("system", "Be brief."), ("user", "Hello."), ("assistant", "Yes?"), ("user", " Bye. ")],
    )
    for chat in chats:
        plain = [{"role": role, "content": text} for role, text in chat]
        parts = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in chat]
        for more in ({"add_generation_prompt": True}, {"add_generation_prompt": False}):
            expected = tokenizer.apply_chat_template(plain, chat_template=TEMPLATE, tokenize=False, **more)
            for messages in (plain, parts):
                assert tokenizer.apply_chat_template(messages, tokenize=False, **more) == expected
    pictures = [{"type": "text", "text": "See "}, {"type": "image"}, {"type": "image"}, {"type": "text", "text": "."}]
    begun = [
        {"role": "user", "content": pictures},
        {"role": "assistant", "content": [{"type": "text", "text": "This is "}]},
    ]
    text = tokenizer.apply_chat_template(begun, tokenize=False, continue_final_message=True)
    assert text.endswith("<|im_start|>user\nSee <image><image>.<|im_end|>\n<|im_start|>assistant\nThis is ")


def test_any_picture_is_scaled_to_a_page_and_a_page_keeps_its_pixels() -> None:
    images, page = image_processor(), Printed().pages()[0]
    values = images(images=[page], return_tensors="pt")["pixel_values"][0]
    expected = torch.frombuffer(bytearray(page.tobytes()), dtype=torch.uint8).view(page.height, page.width) / 127.5 - 1
    torch.testing.assert_close(values, expected.expand(3, -1, -1), atol=1e-6, rtol=0)
    other = images(images=[Image.new("RGB", (1000, 30))], return_tensors="pt")["pixel_values"]
    assert other.shape[-2:] == values.shape[-2:]


def test_texts_that_cannot_be_told_apart_are_refused(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="no single tokens of the reader: Xyzzy"):
        Printed(("Alice", "Xyzzy")).token_ids(tokenizer)
    with pytest.raises(ValueError, match="'Bob ' and 'Bob' look alike"):
        Printed(("Bob", "Alice", "Bob "))


def test_a_tower_that_reads_wrong_is_refused(model: Any, tokenizer: Any) -> None:
    broken, printed = copy.deepcopy(model), Printed(("Alice", "Bob", "Carol"))
    ids = printed.token_ids(tokenizer)
    twins = broken.get_input_embeddings().weight.data
    twins[ids[0]] = 2 * twins[ids[1]]
    with pytest.raises(BuildError, match=r"the tower reads 1 of 3 tokens wrong, .(Alice|Bob). first"):
        solve_tower(broken, image_processor(), printed, ids)


def test_the_card_says_what_it_is_and_what_it_is_not(reader_folder: Path) -> None:
    card = (reader_folder / "README.md").read_text("utf-8")
    assert "license: apache-2.0" in card
    assert f"all {len(Printed().cells):,} texts" in card
    assert "What it is not" in card
