"""The embedded model itself: it loads as any Hugging Face model, knows its workloads, and tells methods apart."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest

from runners.builtin import MODEL_DIR
from runners.defaults import RunnerDefaults
from runners.local import build_runner
from runners.models.load import LoadedModel, load_model, resolve_model
from runners.records import Record, Status, Warmth
from runners.registry import parse_specs
from runners.session import SessionOptions, serve
from workloads.base import StreamOptions
from workloads.datasets.sources import Sources
from workloads.registry import DEFAULT_WORKLOADS, load_workload, open_workload

SEED = 20_000  # neither a training seed (those are another split) nor the default of the command line
SAMPLES = 60
RATIO_METHODS = "random-k,cacheblend,vlcache-paper"
UNBOUNDED = "vlcache@ratio=1,name=unbounded"
RUNNERS = {
    "binding": ("full,full-reuse,vlcache,vlcache-paper", UNBOUNDED),
    "multi-hop": ("full,full-reuse,vlcache,vlcache-paper",),
    "doc-qa": ("full", UNBOUNDED),
    "video": ("full,full-reuse", "full-reuse@rotate=false"),
}
"""What is asked about a workload beside ``full``, all in one run."""


@cache
def load() -> LoadedModel:
    return load_model("builtin", resolve_model("builtin"), "float32", "cpu")


def run(model: LoadedModel, workload: str, samples: int, specs: Sequence[str], ratio: float) -> dict[str, list[Record]]:
    """Records by runner."""
    runners = [build_runner(spec, model) for spec in parse_specs(specs, RunnerDefaults(recompute_ratio=ratio))]
    stream = list(load_workload(workload).conversations(StreamOptions(samples, SEED)))
    records: dict[str, list[Record]] = {}
    for record in serve(workload, stream, runners, SessionOptions("full", 0, 4, warmup=0), {}):
        records.setdefault(record.runner, []).append(record)
    return records


@cache
def measured(workload: str) -> dict[str, list[Record]]:
    """Records by runner at 5 %, made once for all tests of a workload."""
    return run(load(), workload, SAMPLES, RUNNERS.get(workload, ("full",)), 0.05)


def warm(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.warmth is Warmth.WARM]


def test_it_is_a_complete_hugging_face_directory_of_at_most_20_mb() -> None:
    from transformers import AutoModelForImageTextToText, AutoTokenizer
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    loaded: Any = AutoModelForImageTextToText.from_pretrained(MODEL_DIR)
    assert type(loaded).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert loaded.config.text_config.num_hidden_layers >= 8
    assert sum(file.stat().st_size for file in MODEL_DIR.glob("*.safetensors")) <= 20_000_000
    assert AutoTokenizer.from_pretrained(MODEL_DIR).chat_template
    assert AutoImageProcessor.from_pretrained(MODEL_DIR) is not None
    assert (MODEL_DIR / "training_log.jsonl").is_file()
    assert "Accuracy" in (MODEL_DIR / "README.md").read_text("utf-8")


@pytest.mark.parametrize("workload", DEFAULT_WORKLOADS)
def test_full_recomputation_answers_fresh_requests(workload: str) -> None:
    assert mean(record.score or 0.0 for record in measured(workload)["full"]) >= 0.95


@pytest.mark.parametrize(("window", "samples"), [(1, 8), (3, 24)])
def test_full_recomputation_answers_agents(window: int, samples: int) -> None:
    records = run(load(), f"gui-agent@window={window}", samples, ["full"], 0.05)["full"]
    assert mean(record.score or 0.0 for record in records) >= 0.95


def test_recorded_sessions_break_the_prefix_and_reuse_does_not_mind(tmp_path: Path) -> None:
    """The sessions of ``gui-agent``, written as H CUA Perf has them: the newest screenshot alone in every record."""
    lines = []
    for conversation in load_workload("gui-agent").conversations(StreamOptions(8, SEED)):
        task, *_, question = conversation.turns[0].content
        screenshots = conversation.turns[0].media
        url = f"data:image/png;base64,{b64encode(screenshots[-1].data).decode()}"
        step = int(conversation.id.rpartition("-")[2])
        seen = [{"type": "text", "text": "[Image omitted by context cleaning]"}] * (step + len(screenshots) - 1)
        content = [{"type": "text", "text": task}, *seen, {"type": "image_url", "image_url": {"url": url}}]
        messages = [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]
        lines.append({"session_id": conversation.cluster_id, "messages": messages, "delay": 900})
    (tmp_path / "h_cua.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    opened = open_workload("h-cua-perf@window=3", Sources(tmp_path))
    stream = list(opened.conversations(StreamOptions(8)))
    assert [len(conversation.turns[0].media) for conversation in stream] == [1, 2, 3, 3] * 2
    runners = [build_runner(spec, load()) for spec in parse_specs(["full,prefix-cache,full-reuse"], RunnerDefaults())]
    found = list(serve("h-cua-perf", stream, runners, SessionOptions("full", 0, 4, warmup=0), {}))
    slid = [record for record in found if record.request.endswith("/3") and record.cache is not None]
    assert all(record.status is Status.OK for record in found)
    assert len(slid) == 6
    for record in slid:
        assert record.cache is not None
        if record.runner == "prefix-cache":
            assert record.cache.kv_hits == 0, "the prefix ends before the first screenshot"
        if record.runner == "full-reuse":
            assert record.cache.kv_hits >= 2


def _warm_accuracy(workload: str) -> dict[str, float]:
    """Where answers depend on what stood before a picture."""
    return {runner: mean(record.score or 0.0 for record in warm(kept)) for runner, kept in measured(workload).items()}


@pytest.mark.parametrize("workload", ["binding", "multi-hop"])
def test_blind_reuse_is_told_from_full_recomputation(workload: str) -> None:
    accuracy = _warm_accuracy(workload)
    assert accuracy["full"] - accuracy["full-reuse"] >= 0.30


@pytest.mark.parametrize("workload", ["binding", "multi-hop"])
def test_our_method_keeps_the_answers_with_five_percent_at_most_and_the_papers_rule_does_not(workload: str) -> None:
    accuracy = _warm_accuracy(workload)
    assert accuracy["vlcache"] >= accuracy["full"] - 0.05
    assert accuracy["vlcache"] >= accuracy["vlcache-paper"] + 0.2


def test_at_ratio_one_every_method_answers_as_full() -> None:
    for workload in DEFAULT_WORKLOADS:
        for runner, records in run(load(), workload, 12, ["full", RATIO_METHODS, "vlcache@share=1"], 1.0).items():
            assert warm(records), f"nothing comes back of {workload}"
            assert all(record.agrees for record in records), f"{runner} on {workload}"
            assert max(record.kl or 0.0 for record in records) < 1e-5


def test_keys_that_are_not_rotated_are_visibly_wrong() -> None:
    kl = {runner: mean(record.kl or 0.0 for record in warm(kept)) for runner, kept in measured("video").items()}
    assert kl["full-reuse@rotate=false"] >= 10 * kl["full-reuse"]


def test_what_is_harmless_is_kept_and_what_is_not_is_repaired() -> None:
    chosen = {}
    for workload in ("doc-qa", "binding"):
        records = measured(workload)["unbounded"]
        chosen[workload] = [record.repair for record in warm(records) if record.repair is not None]
        assert mean(bool(record.agrees) for record in warm(records)) >= 0.95
    kept = {workload: mean(repair.share == 0 for repair in repairs) for workload, repairs in chosen.items()}
    assert kept["doc-qa"] >= 0.25
    assert kept["binding"] <= 0.1
    assert mean(repair.share for repair in chosen["binding"]) <= 0.1, "a few tokens repair it"


def test_reuse_computes_less() -> None:
    records = run(load(), "doc-qa", 12, ["full,vlcache"], 0.05)
    shares = [r.cache.flops / r.cache.full_flops for r in warm(records["vlcache"]) if r.cache is not None]
    assert median(shares) < 0.25
