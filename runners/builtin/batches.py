"""Lessons as tensors: token ids, M-RoPE positions, pixels and targets of one padded batch.

Pixels are cut into patches here for a whole batch at once; tests hold that they equal the image processor's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from runners.builtin.architecture import MERGE, PATCH
from runners.builtin.lessons import UNLABELLED, Lesson, Picture
from workloads.synthetic.drawing import FRAMES_PER_MOMENT, Page
from workloads.synthetic.prose import SYSTEM, opening

VISION_TARGETS = ("glyph", "left", "clock", "rank", "before", "changed")


@dataclass(frozen=True)
class Batch:
    """One optimisation step's input.

    Attributes:
        ids: token ids, ``(batch, tokens)``, right-padded.
        positions: M-RoPE positions, ``(3, batch, tokens)``.
        vision: where the vision tokens are, ``(batch, tokens)`` bool; they follow in the order of ``pixels``.
        pixels: patches, ``(patches, channels * temporal * PATCH * PATCH)``.
        grids: patch grids (time, height, width), ``(media, 3)``.
        answers: the token to predict at each place or UNLABELLED, ``(batch, tokens)``.
        targets: per vision token, see ``lessons.Picture``; each ``(vision tokens,)``.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    vision: torch.Tensor
    pixels: torch.Tensor
    grids: torch.Tensor
    answers: torch.Tensor
    targets: dict[str, torch.Tensor]

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        moved = {field.name: getattr(self, field.name).to(device) for field in fields(self) if field.name != "targets"}
        return Batch(**moved, targets={name: target.to(device) for name, target in self.targets.items()})


class Collator:
    """Turns lessons into a batch; holds the tokenizer and what it encoded before."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, tokens_per_second: int) -> None:
        self._tokenizer = tokenizer
        self._step = tokens_per_second
        self._encode = cache(lambda text: tuple(tokenizer.encode(text)))
        vocabulary = tokenizer.get_vocab()
        self._image, self._video = vocabulary["<|image_pad|>"], vocabulary["<|video_pad|>"]

    def __call__(self, rng: np.random.Generator, lessons: Sequence[Lesson]) -> Batch:
        """Lay the lessons out side by side; ``rng`` draws the openings."""
        rows = [self._lay_out(rng, lesson) for lesson in lessons]
        width = max(len(ids) for ids, _, _ in rows)
        ids = np.zeros((len(rows), width), np.int64)
        answers = np.full((len(rows), width), UNLABELLED)
        positions = np.zeros((3, len(rows), width), np.int64)
        for index, (row_ids, row_positions, row_answers) in enumerate(rows):
            ids[index, : len(row_ids)] = row_ids
            answers[index, : len(row_ids)] = row_answers
            positions[:, index, : len(row_ids)] = row_positions
        pictures = [picture for lesson in lessons for picture in lesson.pictures]
        return Batch(
            ids=torch.from_numpy(ids),
            positions=torch.from_numpy(positions),
            vision=torch.from_numpy((ids == self._image) | (ids == self._video)),
            pixels=torch.from_numpy(np.concatenate([patches(picture.moments) for picture in pictures])),
            grids=torch.tensor([_patch_grid(picture) for picture in pictures]),
            answers=torch.from_numpy(answers),
            targets={
                name: torch.from_numpy(np.concatenate([getattr(picture, name) for picture in pictures]))
                for name in VISION_TARGETS
            },
        )

    def _lay_out(
        self, rng: np.random.Generator, lesson: Lesson
    ) -> tuple[list[int], NDArray[np.int64], NDArray[np.int64]]:
        """Ids, positions and answers of one lesson, exactly as the chat template writes the conversation."""
        pad, token = ("<|video_pad|>", self._video) if lesson.is_clip else ("<|image_pad|>", self._image)
        ids: list[int] = []
        spans: list[NDArray[np.int64]] = []
        answers: dict[int, int] = {}
        position = 0

        def write(text: str) -> None:
            nonlocal position
            new = self._encode(text)
            ids.extend(new)
            spans.append(np.tile(np.arange(len(new)) + position, (3, 1)))
            position += len(new)

        write(f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n")
        write(opening(rng))
        for picture in lesson.pictures:
            write(pad.replace("pad", "start").replace("image", "vision").replace("video", "vision"))
            grid = picture.moments[0].grid
            ids.extend([token] * picture.glyph.size)
            times = np.arange(len(picture.moments)) * (self._step if lesson.is_clip else 1)
            axes = np.meshgrid(times, np.arange(grid.rows), np.arange(grid.cols), indexing="ij")
            spans.append(np.stack(axes).reshape(3, -1) + position)
            position += max(grid.rows, grid.cols)
            write("<|vision_end|>")
        for index, question in enumerate(lesson.questions):
            write(question.text if index == 0 else f"<|im_start|>user\n{question.text}")
            (answer,) = self._encode(question.answer)
            answers[len(ids) - 1] = answer
            write("<|im_end|>\n<|im_start|>assistant\n")
            answers[len(ids) - 1] = answer
            write(question.answer)
            answers[len(ids) - 1] = self._encode("<|im_end|>")[0]
            write("<|im_end|>\n")
        labels = np.full(len(ids), UNLABELLED)
        labels[list(answers)] = list(answers.values())
        return ids, np.concatenate(spans, axis=1), labels


def patches(moments: Sequence[Page]) -> NDArray[np.float32]:
    """What the Qwen2-VL image processor makes of pages that need no resizing, as ``(patches, values)``."""
    mean, std = np.array(OPENAI_CLIP_MEAN, np.float32), np.array(OPENAI_CLIP_STD, np.float32)
    pixels = np.stack([page.pixels() for page in moments]).astype(np.float32) / np.float32(255)
    pixels = (pixels - mean) / std
    time, height, width, channels = pixels.shape
    block = PATCH * MERGE
    tiled = pixels.reshape((time, height // block, MERGE, PATCH, width // block, MERGE, PATCH, channels))
    ordered = tiled.transpose((0, 1, 4, 2, 5, 7, 3, 6))[..., None, :, :]
    repeated = np.broadcast_to(ordered, (*ordered.shape[:6], FRAMES_PER_MOMENT, PATCH, PATCH))
    return np.ascontiguousarray(repeated).reshape(-1, channels * FRAMES_PER_MOMENT * PATCH * PATCH)


def _patch_grid(picture: Picture) -> tuple[int, int, int]:
    grid = picture.moments[0].grid
    return len(picture.moments), grid.rows * MERGE, grid.cols * MERGE
