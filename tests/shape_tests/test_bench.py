"""``vlcache bench`` on a shape: real engine, tiny sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlcache_cli.app import main


def test_a_shape_is_benchmarked_without_a_download(
    tiny_shapes: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["--workload", "doc-qa", "--samples", "2", "--reuse-rate", "1", "--warmup", "0", "--max-new-tokens", "6"]
    what = ["--model", "shape:qwen2_5_vl", "--runner", "full,vlcache"]
    assert main(["bench", *what, *few, "--json", "--output", "run"]) == 0
    document = json.loads(capsys.readouterr().out)
    told = document["manifest"]["model"]
    assert (told["name"], told["random_weights"], told["dtype"]) == ("shape:qwen2_5_vl", True, "bfloat16")
    for row in document["summary"]:
        assert (row["accuracy"], row["agreement"], row["kl_mean"], row["verdict"]) == (None, None, None, None)
        assert row["ttft_ms_p50"] > 0
        assert row["weights"] == "random"
    records = [json.loads(line) for line in Path("run/records.jsonl").read_text().splitlines()]
    assert {len(record["token_ids"]) for record in records} == {6}
    assert {record["score"] for record in records} == {None}
