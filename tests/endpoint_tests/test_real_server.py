"""A real server, where one is named: VLCACHE_TEST_SERVER=http://127.0.0.1:8101/v1, a vLLM whose caches can be emptied.

It has to serve the built-in model (docs/serving.md says how). Order and counters are asserted, never milliseconds.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from statistics import median

import pytest

from vlcache_cli.app import main

URL = os.environ.get("VLCACHE_TEST_SERVER", "")
STATES = ("cold", "same-image", "repeat")


@pytest.mark.skipif(not URL, reason="needs VLCACHE_TEST_SERVER, the address of a real server")
def test_a_real_server_is_as_fast_as_its_caches_are_warm_and_its_counters_say_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = [word for state in STATES for word in ("--runner", f"endpoint@url={URL},state={state},name={state}")]
    run = tmp_path / "run"
    usual = ("--workload", "doc-qa", "--samples", "20", "--reference", "cold", "--output", str(run))
    assert main(["bench", *usual, *arms]) == 0
    capsys.readouterr()
    records = [json.loads(line) for line in (run / "records.jsonl").read_text("utf-8").splitlines()]
    warm = {state: [r for r in records if r["runner"] == state and r["warmth"] == "warm"] for state in STATES}
    assert all(record["served"]["invalid"] is None for record in records)
    assert all(record["served"]["checked"] for each in warm.values() for record in each)
    times = {state: median(record["timing"]["ttft_ms"] for record in each) for state, each in warm.items()}
    assert times["cold"] > times["same-image"] > times["repeat"]
    assert all(record["agrees"] for record in records)
    for state, (by_prefix, by_content) in {"cold": (0, 0), "same-image": (0, 1), "repeat": (1, 1)}.items():
        for served in (record["served"] for record in warm[state]):
            assert (served["cached_tokens"] > served["prompt_tokens"] / 2) == bool(by_prefix)
            assert served["preprocessing_hits"] == by_content * served["media"]
