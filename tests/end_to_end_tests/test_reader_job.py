"""The reader as a user runs it: a benchmark of text pages in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_reader_answers_questions_about_text_pages(reader_folder: Path, tmp_path: Path) -> None:
    options = ["--model", "reader", "--workload", "quote", "--samples", "2", "--warmup", "0", "--json"]
    command = [sys.executable, "-m", "vlcache_cli", "bench", *options, "--runner", "full,full-reuse", "--output", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["summary"]
    assert [(row["runner"], row["requests"], row["failed"]) for row in rows] == [("full", 2, 0), ("full-reuse", 2, 0)]
    assert all(row["vision_tokens"] == 450 or row["vision_tokens"] is None for row in rows)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))
    assert manifest["model"]["layers"] == 30
