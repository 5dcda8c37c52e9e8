"""MMMU on LLaVA-1.5, asked by ``vlcache bench`` and by lm-eval's own ``hf-multimodal``: one answer, one score."""

from __future__ import annotations

import gc
import json
import random
import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lm_eval.evaluator
import lm_eval.tasks
import pytest
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from vlcache_cli.app import main

pytestmark = pytest.mark.skipif(find_spec("accelerate") is None, reason="lm-eval's hf-multimodal needs accelerate")

SUBJECTS = ("Art", "Math", "Physics")
HEAD = "language_model.lm_head.weight"


def speaking(model: Path, letters: str, to: Path) -> Path:
    """A copy of a model that answers with these letters: every other token is as likely as they are on average."""
    shutil.copytree(model, to)
    weights = load_file(to / "model.safetensors")
    kept = AutoTokenizer.from_pretrained(model).convert_tokens_to_ids(list(letters))
    rows = weights[HEAD][kept]
    weights[HEAD][:] = rows.mean(0)
    weights[HEAD][kept] = rows
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


def asked_by_bench(model: Path, data: Path, new_tokens: int, run: Path) -> dict[str, Mapping[str, Any]]:
    """What ``full`` answered when a question was asked for the first time, by its id."""
    data_options = ["--workload", "mmmu", "--dataset-path", str(data), "--subjects", ",".join(SUBJECTS)]
    model_options = ["--model", str(model), "--device", "cpu", "--runner", "full,vlcache"]
    options = ["--samples", "30", "--max-new-tokens", str(new_tokens), "--warmup", "0", "--output", str(run), "--json"]
    assert main(["bench", *data_options, *model_options, *options]) == 0
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    assert len(records) == 60
    assert any(record["cache"]["kv_hits"] for record in records if record["runner"] == "vlcache")
    return {
        record["request"]: record
        for record in records
        if record["runner"] == "full" and "-again-" not in record["request"]
    }


def asked_by_lm_eval(model: Path, data: Path, new_tokens: int, folder: Path) -> dict[str, Mapping[str, Any]]:
    """lm-eval's samples of its own tasks on the local rows, by the id of the question; a guess never hits."""
    home = Path(lm_eval.tasks.__file__).parent / "mmmu"
    for subject in SUBJECTS:
        rows = {"data_files": {"validation": str(data / subject / "*.parquet")}, "cache_dir": str(folder / "cache")}
        local = {"dataset_path": "parquet", "dataset_name": None, "dataset_kwargs": rows}
        task = {"include": str(home / f"mmmu_{subject.lower()}.yaml"), **local}
        (folder / f"{subject}.yaml").write_text(yaml.safe_dump(task))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random, "choice", lambda options: None)
        patch.setattr(gc, "collect", lambda: 0)  # done after every answer, for half a second
        patch.setattr(lm_eval.evaluator, "add_env_info", lambda results: None)  # looks over the machine, for seconds
        results = lm_eval.evaluator.simple_evaluate(
            "hf-multimodal",
            model_args={"pretrained": str(model), "dtype": "float32"},
            tasks=[f"mmmu_val_{subject.lower()}" for subject in SUBJECTS],
            task_manager=lm_eval.tasks.TaskManager(include_path=str(folder), include_defaults=False),
            device="cpu",
            gen_kwargs={"max_gen_toks": new_tokens},
            apply_chat_template=True,
        )
    return {sample["doc"]["id"]: sample for samples in results["samples"].values() for sample in samples}


@pytest.mark.parametrize(
    ("letters", "new_tokens", "guesses", "scores"), [("", 12, {True, False}, {0.0}), ("ABC", 1, {False}, {0.0, 1.0})]
)
def test_full_answers_and_scores_as_lm_evals_hf_multimodal(
    family_of: Callable[[str], Any],
    mmmu: Path,
    sealed: None,
    tmp_path: Path,
    letters: str,
    new_tokens: int,
    guesses: set[bool],
    scores: set[float],
) -> None:
    model = family_of("llava").path
    if letters:
        model = speaking(model, letters, tmp_path / "model")
    ours = asked_by_bench(model, mmmu, new_tokens, tmp_path / "run")
    theirs = asked_by_lm_eval(model, mmmu, new_tokens, tmp_path)
    assert {record["parse_failed"] for record in ours.values()} == guesses
    assert {record["score"] for record in ours.values()} == scores
    assert len(theirs) == 15
    assert {name: (record["answer"], record["score"]) for name, record in ours.items()} == {
        name: (sample["resps"][0][0], sample["acc"]) for name, sample in theirs.items()
    }
