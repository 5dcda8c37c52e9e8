"""The reader's parts: SmolLM2 as transformers reads it, the tower, the chat template, the directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from runners.reader import language_model, tower
from runners.reader.build import BuildError, image_processor
from runners.reader.build import _solve_tower as solve_tower
from runners.reader.printed import Printed
from runners.reader.weights import find_weights


@pytest.fixture(scope="module")
def tokenizer(reader_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(reader_folder)


def test_the_language_model_is_smollm2_as_transformers_reads_it(reader_folder: Path) -> None:
    file = find_weights()
    stock: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    mine = load_file(reader_folder / "model.safetensors")
    expected = dict(stock.model.named_parameters())
    embeddings = mine["model.language_model.embed_tokens.weight"]
    assert embeddings.shape == (language_model.VOCABULARY + 1, language_model.HIDDEN)
    torch.testing.assert_close(embeddings[-1], embeddings[:-1].mean(dim=0))
    assert torch.equal(embeddings[:-1], expected.pop("embed_tokens.weight"))
    assert len(expected) == 271
    for name, weight in expected.items():
        assert torch.equal(mine[f"model.language_model.{name}"], weight), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_token_is_read_right_in_all_numbers(reader_folder: Path, tokenizer: Any, dtype: torch.dtype) -> None:
    from transformers import LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration.from_pretrained(reader_folder, dtype=dtype).eval()
    images = AutoImageProcessor.from_pretrained(reader_folder)
    printed = Printed()
    ids = torch.tensor(printed.token_ids(tokenizer))
    pages = images(images=printed.pages(), return_tensors="pt")["pixel_values"].to(dtype)
    found = tower.read(model, pages, len(ids))
    embeddings = model.get_input_embeddings().weight.detach()
    assert torch.equal(tower.nearest(found.float(), embeddings.float()), ids)


def test_digits_are_split_apart_and_texts_come_back(tokenizer: Any) -> None:
    text = "Note  4711: it's 3 o'clock.\n\nÉté, 漢字"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert [tokenizer.decode(ids[place]) for place in range(6)] == ["Note", "  ", "4", "7", "1", "1"]


def test_the_template_is_that_of_smollm2_with_a_placeholder_for_each_picture(tokenizer: Any) -> None:
    field = language_model.open_gguf(find_weights()).fields["tokenizer.chat_template"]
    theirs = bytes(field.parts[field.data[0]]).decode()
    chats = (
        [("user", "Hello.")],
        [("system", "Be brief."), ("user", "Hello."), ("assistant", "Yes?"), ("user", " Bye. ")],
    )
    for chat in chats:
        plain = [{"role": role, "content": text} for role, text in chat]
        parts = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in chat]
        for more in ({"add_generation_prompt": True}, {"add_generation_prompt": False}):
            expected = tokenizer.apply_chat_template(plain, chat_template=theirs, tokenize=False, **more)
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


def test_a_tower_that_reads_wrong_is_refused(reader_folder: Path, tokenizer: Any) -> None:
    from transformers import LlavaForConditionalGeneration

    model = LlavaForConditionalGeneration.from_pretrained(reader_folder).eval()
    printed = Printed(("Alice", "Bob", "Carol"))
    ids = printed.token_ids(tokenizer)
    twins = model.get_input_embeddings().weight.data
    twins[ids[0]] = 2 * twins[ids[1]]
    with pytest.raises(BuildError, match=r"the tower reads 1 of 3 tokens wrong, .(Alice|Bob). first"):
        solve_tower(model, image_processor(), printed, ids)


def test_the_card_says_what_it_is_and_what_it_is_not(reader_folder: Path) -> None:
    card = (reader_folder / "README.md").read_text("utf-8")
    assert "license: apache-2.0" in card
    assert f"all {len(Printed().cells):,} texts" in card
    assert "What it is not" in card
