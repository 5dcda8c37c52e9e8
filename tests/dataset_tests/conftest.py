"""Small data sets in the layouts of the hub, written by the tests that read them."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import Dataset, Features, Value
from PIL import Image

datasets.disable_progress_bars()

Write = Callable[..., Path]
MODES = ("RGB", "L", "P", "RGBA")
PLACES = 7  # for pictures in a row of MMMU
TEXTS = (
    "id",
    "question",
    "options",
    "explanation",
    "img_type",
    "answer",
    "topic_difficulty",
    "question_type",
    "subfield",
)


def picture(seed: int, mode: str = "RGB", size: int = 16) -> Image.Image:
    """Noise that no other seed has."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png(seed: int) -> bytes:
    with io.BytesIO() as file:
        picture(seed).save(file, "PNG")
        return file.getvalue()


def mmmu_rows(subject: str, count: int, start: int) -> list[dict[str, Any]]:
    """Multiple choice with two pictures, one shown twice and one in an option, and open questions with one, in turn."""
    rows = []
    for number in range(count):
        choice = number % 2 == 0
        pictures = [picture(start + 2 * number + place, MODES[number % 4]) for place in range(1 + choice)]
        rows.append(
            dict.fromkeys(TEXTS, "")
            | {f"image_{place}": None for place in range(1, PLACES + 1)}
            | {f"image_{place}": shown for place, shown in enumerate(pictures, 1)}
            | {
                "id": f"validation_{subject}_{number + 1}",
                "question": "Is <image 1> like <image 1>?" if choice else "How many in <image 1>?",
                "options": "['yes', 'no', '<image 2>']" if choice else "[]",
                "answer": "B" if choice else "3.5",
                "question_type": "multiple-choice" if choice else "open",
            }
        )
    return rows


@pytest.fixture(scope="session")
def mmmu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three subjects of MMMU with five questions each."""
    folder = tmp_path_factory.mktemp("mmmu")
    features = Features(
        {name: Value("string") for name in TEXTS}
        | {f"image_{place}": datasets.Image() for place in range(1, PLACES + 1)}
    )
    for place, subject in enumerate(("Art", "Math", "Physics")):
        (folder / subject).mkdir()
        rows = Dataset.from_list(mmmu_rows(subject, 5, 100 * place), features)
        rows.to_parquet(folder / subject / "validation-00000-of-00001.parquet")
    return folder


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a socket can be made."""

    class Sealed(socket.socket):
        def __init__(self, *args: object, **options: object) -> None:
            raise RuntimeError("a socket was opened")

    monkeypatch.setattr(socket, "socket", Sealed)


@pytest.fixture
def write_parquet(tmp_path: Path) -> Write:
    """Write rows under ``tmp_path``; ``pictures`` and ``films`` name the fields of those kinds."""

    def write(
        name: str, rows: Sequence[Mapping[str, Any]], pictures: Sequence[str] = (), films: Sequence[str] = ()
    ) -> Path:
        kinds = {name: datasets.Image() for name in pictures} | {name: datasets.Video() for name in films}
        plain = Dataset.from_list([{key: row[key] for key in row if key not in kinds} for row in rows])
        features = Features({**plain.features, **kinds})
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Dataset.from_list([dict(row) for row in rows], features).to_parquet(file)
        return file

    return write


@pytest.fixture
def write_lines(tmp_path: Path) -> Write:
    """Write rows as JSON, one a line, under ``tmp_path``."""

    def write(name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return file

    return write
