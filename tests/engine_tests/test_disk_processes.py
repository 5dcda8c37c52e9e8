"""Real processes on one disk tier: some killed while they write, two at once; and every answer right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "benchmarks" / "store_chaos.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked from one that has loaded the model")
def test_killed_writers_and_two_at_once_break_no_law() -> None:
    """The script of docs/benchmarks/store.md, with little of everything; it forks, and so is a process of its own."""
    none = [f"--{part}=0" for part in ("benches", "mutations", "rates", "rounds")]
    few = [*none, "--kills=2", "--seconds=1", "--requests=1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *few], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"kills: 2 writers killed; 0 bad files, 8 answers checked, 0 wrong", done.stdout)
    assert done.stdout.count("0 bad files, 0 laws broken") == 2
