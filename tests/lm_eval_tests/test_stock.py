"""Full recomputation against lm-eval's own ``hf-multimodal``: two ways to ask the same LLaVA-1.5, one answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import datasets
import numpy as np
import pytest
import yaml
from lm_eval import simple_evaluate
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager
from PIL import Image

from runners.lm_eval.model import VLCacheLM

pytestmark = pytest.mark.skipif(find_spec("accelerate") is None, reason="lm-eval's hf-multimodal needs accelerate")

NEW_TOKENS = 12


def picture(seed: int, mode: str) -> Image.Image:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(30, 90, 2)
    return Image.fromarray(rng.integers(0, 256, (height, width, 4), dtype=np.uint8)).convert("RGB").convert(mode)


ROWS: list[dict[str, Any]] = [
    {"question": "Compare <image 1> with <image 2>.", "options": "['<image 1>', 'the second']", "answer": "A"},
    {"question": "What is seen? <image 1>", "options": "['red', 'blue', '<image 2>']", "answer": "B"},
    {"question": "<image 1> How many?", "options": "[]", "answer": "7"},
    {"question": "<image 2><image 1>\nWhich?", "options": "['this', 'that']", "answer": "B"},
]


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> TaskManager:
    """A subject of MMMU, asked and scored by lm-eval's own functions."""
    folder = tmp_path_factory.mktemp("mmmu")
    rows = [
        row
        | {
            "question_type": "open" if row["options"] == "[]" else "multiple-choice",
            "image_1": picture(number, "RGB" if number % 2 else "L"),
            "image_2": picture(9, "RGB"),
        }
        for number, row in enumerate(ROWS)
    ]
    texts = dict.fromkeys(("question", "options", "answer", "question_type"), datasets.Value("string"))
    features = datasets.Features({**texts, "image_1": datasets.Image(), "image_2": datasets.Image()})
    datasets.Dataset.from_list(rows, features=features).to_parquet(folder / "art.parquet")
    names = ("doc_to_image", "doc_to_text", "process_results")
    (folder / "mmmu.py").write_text(f"from lm_eval.tasks.mmmu.utils import {', '.join(names)}\n")
    task = {
        "task": "art",
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {"validation": str(folder / "art.parquet")}, "cache_dir": str(folder)},
        "validation_split": "validation",
        "output_type": "generate_until",
        "doc_to_target": "answer",
        "generation_kwargs": {
            "until": ["<|endoftext|>"],
            "temperature": 0.0,
            "do_sample": False,
            "max_gen_toks": NEW_TOKENS,
        },
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    functions = "".join(f"{name}: !function mmmu.{name}\n" for name in names)
    (folder / "art.yaml").write_text(yaml.safe_dump(task) + functions)
    return TaskManager(include_path=str(folder), include_defaults=False)


def answers(model: Any, manager: TaskManager) -> Sequence[str]:
    results = simple_evaluate(model, tasks=["art"], task_manager=manager, apply_chat_template=True)
    return [sample["resps"][0][0] for sample in results["samples"]["art"]]


@pytest.mark.parametrize("most_images", [999, 1])
def test_full_recomputation_answers_as_hf_multimodal(
    family_of: Callable[[str], Any], manager: TaskManager, most_images: int
) -> None:
    shared: dict[str, Any] = {
        "pretrained": str(family_of("llava").path),
        "dtype": "float32",
        "device": "cpu",
        "max_images": most_images,
    }
    expected = answers(get_model("hf-multimodal")(**shared), manager)
    ours = VLCacheLM(runner="full", **shared)
    assert answers(ours, manager) == expected
    assert len(set(expected)) == len(ROWS)
    assert [item.media for item in ours.timings] == [min(count, most_images) for count in (3, 2, 1, 2)]
