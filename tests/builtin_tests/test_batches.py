"""What the model is trained on equals what it is asked with: template, positions and pixels of the public tools."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen2_5_VLForConditionalGeneration

from runners.builtin.architecture import TOKENS_PER_SECOND, build_config, build_image_processor, build_model
from runners.builtin.batches import Batch, Collator, patches
from runners.builtin.curriculum import CURRICULA, Stage
from runners.builtin.lessons import GLYPHS, UNLABELLED, Lesson, Syllabus, draw_lesson
from runners.builtin.objective import Objective
from runners.builtin.tokenizer import build_tokenizer
from workloads.seeding import stream
from workloads.synthetic.drawing import Page
from workloads.synthetic.prose import SYSTEM, opening

KINDS = ("album", "chat", "binding", "video", "hop")
TOKENIZER = build_tokenizer()


def _lessons(kind: str, count: int = 3) -> list[Lesson]:
    """Lessons of one kind, of different sizes."""
    syllabus = Syllabus((4, 8), (4, 8), 7, (1, 3), 5, {kind: 1.0})
    rng = stream("train", "test", kind)
    return [draw_lesson(rng, syllabus) for _ in range(count)]


def _collate(lessons: list[Lesson]) -> Batch:
    return Collator(TOKENIZER, TOKENS_PER_SECOND)(stream("train", "openings"), lessons)


def _rendered(lessons: list[Lesson]) -> list[str]:
    """The same conversations as the chat template writes them, each media pad repeated for its tokens."""
    rng, texts = stream("train", "openings"), []
    for lesson in lessons:
        kind = "video" if lesson.is_clip else "image"
        first = [{"type": "text", "text": opening(rng)}, *({"type": kind} for _ in lesson.pictures)]
        messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}]
        for index, question in enumerate(lesson.questions):
            asked = {"type": "text", "text": question.text}
            messages.append({"role": "user", "content": [*first, asked] if index == 0 else [asked]})
            messages.append({"role": "assistant", "content": question.answer})
        text = TOKENIZER.apply_chat_template(messages, tokenize=False)
        assert isinstance(text, str)
        cells = iter(sum(page.grid.cells for page in picture.moments) for picture in lesson.pictures)
        texts.append(re.sub(rf"<\|{kind}_pad\|>", lambda pad, cells=cells: pad[0] * next(cells), text))  # type: ignore[misc]
    return texts


@pytest.fixture(scope="module")
def model() -> Qwen2_5_VLForConditionalGeneration:
    """Random weights; only its bookkeeping is asked."""
    model = build_model(build_config(TOKENIZER, layers=2))
    model.eval()
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_text_equal_the_chat_template(kind: str) -> None:
    lessons = _lessons(kind)
    batch = _collate(lessons)
    for row, text in zip(batch.ids.tolist(), _rendered(lessons), strict=True):
        expected = TOKENIZER.encode(text)
        assert row == expected + [0] * (len(row) - len(expected))
        assert TOKENIZER.decode(row[: len(expected)]) == text


@pytest.mark.parametrize("kind", KINDS)
def test_positions_equal_the_reference(kind: str, model: Qwen2_5_VLForConditionalGeneration) -> None:
    lessons = _lessons(kind)
    batch = _collate(lessons)
    lengths = [len(TOKENIZER.encode(text)) for text in _rendered(lessons)]
    present = torch.arange(batch.ids.shape[1]) < torch.tensor(lengths)[:, None]
    positions, _ = model.model.get_rope_index(
        batch.ids,
        mm_token_type_ids=batch.vision.int() * (2 if kind == "video" else 1),
        image_grid_thw=None if kind == "video" else batch.grids,
        video_grid_thw=batch.grids if kind == "video" else None,
        attention_mask=present.long(),
    )
    assert torch.equal(batch.positions[:, present], positions[:, present])
    assert not batch.positions[:, ~present].any()


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_equal_the_image_processor(kind: str) -> None:
    processor = build_image_processor()
    for lesson in _lessons(kind):
        for picture in lesson.pictures:
            images = [Image.fromarray(page.pixels()) for page in picture.moments]
            expected = processor(images=images, return_tensors="pt")
            made = torch.from_numpy(patches(picture.moments))
            torch.testing.assert_close(made, expected["pixel_values"], rtol=0, atol=1e-6)
            grid = picture.moments[0].grid
            assert expected["image_grid_thw"].tolist() == [[1, 2 * grid.rows, 2 * grid.cols]] * len(images)
            assert _collate([lesson]).grids[0].tolist() == [len(images), 2 * grid.rows, 2 * grid.cols]


@pytest.mark.parametrize("kind", KINDS)
def test_a_vision_token_stands_for_one_cell(kind: str) -> None:
    for picture in (picture for lesson in _lessons(kind) for picture in lesson.pictures):
        cells = [
            page.glyphs.get((row, col), "")
            for page in picture.moments
            for row in range(page.grid.rows)
            for col in range(page.grid.cols)
        ]
        assert [GLYPHS.get(name, 0) for name in cells] == picture.glyph.tolist()
        values = patches(picture.moments).reshape(len(cells), -1, 3, 2 * 8 * 8)
        drawn = (values.max((1, 3)) > values.min((1, 3))).any(-1)
        assert drawn.tolist() == [name != "" for name in cells]


@pytest.mark.parametrize("kind", KINDS)
def test_labels_ask_for_the_answer_and_its_end(kind: str) -> None:
    lessons = _lessons(kind)
    batch = _collate(lessons)
    end, newline = TOKENIZER.encode("<|im_end|>")[0], TOKENIZER.encode("\n")[0]
    for row, lesson in enumerate(lessons):
        places = (batch.answers[row] != UNLABELLED).nonzero().flatten().tolist()
        labels = batch.answers[row, places].tolist()
        for index, question in enumerate(lesson.questions):
            (answer,) = TOKENIZER.encode(question.answer)
            after_question, generated, after_answer = places[3 * index : 3 * index + 3]
            assert labels[3 * index : 3 * index + 3] == [answer, answer, end]
            assert str(TOKENIZER.decode(batch.ids[row, : after_question + 1])).endswith(question.text)
            assert batch.ids[row, generated] == newline
            assert batch.ids[row, generated + 1 : generated + 3].tolist() == [answer, end]
            assert after_answer == generated + 1
        assert len(places) == 3 * len(lesson.questions)


def test_what_a_key_stood_for_before_is_labelled_on_the_second_version() -> None:
    for lesson in _lessons("binding", 6):
        *_, first, second = lesson.pictures
        (old,), (new,) = first.moments, second.moments
        known = _values(old)
        expected = {key: int(known[key] != value) for key, value in _values(new).items()}
        labelled = np.flatnonzero(second.changed != UNLABELLED)
        keys = {value: key for key, value in GLYPHS.items()}
        assert {keys[second.left[token]]: second.changed[token] for token in labelled} == expected
        assert [int(known[keys[second.left[token]]]) for token in labelled] == second.before[labelled].tolist()
        assert sum(expected.values()) <= 1


def test_what_a_link_leads_to_is_labelled_where_the_link_ends() -> None:
    keys = {value: key for key, value in GLYPHS.items()}
    for lesson in _lessons("hop", 6):
        *_, known, links = lesson.pictures
        values = _values(known.moments[0])
        labelled = np.flatnonzero(links.before != UNLABELLED)
        assert {keys[links.glyph[token]]: str(links.before[token]) for token in labelled} == values
        assert all(keys[links.left[token]] not in values for token in labelled), "its left neighbour is the alias"


def _values(page: Page) -> dict[str, str]:
    return {name: page.glyphs[row, col + 1] for (row, col), name in page.glyphs.items() if name.isalpha()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_training_pass_equals_the_model(kind: str, model: Qwen2_5_VLForConditionalGeneration) -> None:
    """The objective runs the layers by hand; its answers must be those of the stock forward."""
    batch = _collate(_lessons(kind, 1))
    names = ("pixel_values_videos", "video_grid_thw") if kind == "video" else ("pixel_values", "image_grid_thw")
    with torch.no_grad():
        losses, right = Objective(model)(batch)
        stock = model(
            input_ids=batch.ids,
            mm_token_type_ids=batch.vision.int() * (2 if kind == "video" else 1),
            attention_mask=torch.ones_like(batch.ids),
            **dict(zip(names, (batch.pixels, batch.grids), strict=True)),
        ).logits
    asked = batch.answers != UNLABELLED
    expected = torch.nn.functional.cross_entropy(stock[asked], batch.answers[asked])
    torch.testing.assert_close(losses["answer"], expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(right, stock[asked].argmax(-1) == batch.answers[asked])


STAGES = [stage for curriculum in CURRICULA.values() for cycle in curriculum for stage in cycle.stages]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_can_be_taught(stage: Stage) -> None:
    rng = stream("train", "test", stage.name)
    lessons = [draw_lesson(rng, stage.syllabus) for _ in range(60)]
    assert all(lesson.pictures and lesson.questions for lesson in lessons)
    assert all(len({q.text for q in lesson.questions}) == len(lesson.questions) for lesson in lessons)
    assert {lesson.is_clip for lesson in lessons} == {False, True}
