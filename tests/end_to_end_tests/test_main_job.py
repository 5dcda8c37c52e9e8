"""The main job as a user runs it, small: a process of its own, the embedded model, a run folder, a kill, a resume."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from workloads.registry import DEFAULT_WORKLOADS

COMMAND = [sys.executable, "-m", "vlcache_cli", "bench", "--samples", "3", "--warmup", "1"]
RUNNERS = ["--runner", "full,prefix-cache,full-reuse,vlcache"]


def bench(*options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *RUNNERS, *options], cwd=cwd, capture_output=True, text=True, timeout=300)


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """Records by key, without what a clock says."""
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text("utf-8").splitlines()]
    return {
        line["key"]: {name: value for name, value in line.items() if name not in ("timing", "peak_bytes")}
        for line in lines
    }


def test_the_main_job_ends_with_a_table_of_every_workload(tmp_path: Path) -> None:
    done = bench("--output", "run", "--json", "--host-budget", "1GiB", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    rows = {(row["workload"], row["runner"]): row for row in document["summary"]}
    assert {workload for workload, _ in rows} == set(DEFAULT_WORKLOADS)
    assert len(rows) == 20
    for (_, runner), row in rows.items():
        assert row["requests"] == 3
        assert row["failed"] == 0
        assert row["ttft_ms_p50"] > 0
        assert row["warmup_ms"] > 0
        assert row["capture_ms"] == 0, "nothing is recorded on a CPU"
        if runner == "prefix-cache":
            assert row["verdict"] == "exact"
        else:
            assert (row["verdict"] is None) == (runner == "full" or (row["compared_worth"] or 0) <= 1)
        if runner in ("full", "prefix-cache"):
            assert row["agreement"] == 1.0
    assert any(row["floor_ratio"] for row in rows.values())
    lines = (tmp_path / "run" / "records.jsonl").read_text("utf-8").splitlines()
    whole = []
    for line in map(json.loads, lines):
        timing = line["timing"]
        parts = ("prepare", "preprocess", "encode", "load", "select", "prefill", "head")
        total = sum(timing[f"{part}_ms"] for part in parts)
        whole.append(abs(total - timing["ttft_ms"]) <= 0.05 * timing["ttft_ms"])
        assert line["cache"]["vision_tokens"] >= 300
        reused = line["cache"]["media_hits"] or line["cache"]["prefix_tokens"]
        assert bool(timing["host_ttft_ms"]) == bool(reused), "what is reused is timed from the host, too"
    assert sum(whole) > 0.9 * len(whole), "the parts add up, but where the machine did something else between two"


def test_a_killed_run_resumes_and_ends_with_the_records_of_an_unbroken_one(tmp_path: Path) -> None:
    workload = ["--workload", "doc-qa", "--workload", "binding"]
    assert bench("--output", "unbroken", *workload, cwd=tmp_path).returncode == 0
    process = subprocess.Popen(
        [*COMMAND, *RUNNERS, *workload, "--output", "broken"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    kept = tmp_path / "broken" / "records.jsonl"
    deadline = time.monotonic() + 120
    while not (kept.exists() and len(kept.read_text("utf-8").splitlines()) >= 7):
        assert time.monotonic() < deadline, "the run wrote no records"
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = records(tmp_path / "broken") if kept.read_text("utf-8").endswith("\n") else {}
    assert len(before) < len(records(tmp_path / "unbroken"))
    resumed = bench("--output", "broken", "--resume", *workload, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert records(tmp_path / "broken") == records(tmp_path / "unbroken")


def test_a_run_of_another_configuration_is_not_resumed(tmp_path: Path) -> None:
    assert bench("--output", "run", "--workload", "video", cwd=tmp_path).returncode == 0
    other = bench("--output", "run", "--resume", "--workload", "video", "--seed", "1", cwd=tmp_path)
    assert other.returncode == 2
    assert other.stdout == ""
    assert "seed" in other.stderr
    assert len(other.stderr.strip().splitlines()) == 1
