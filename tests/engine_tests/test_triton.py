"""Our Triton kernels without a GPU: run by Triton's interpreter, and compiled for GPUs that are not here.

Either takes a process of its own, because Triton asks how kernels are to be run when it is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs triton, which has wheels for Linux only")


@pytest.mark.parametrize(("file", "interpret"), [("triton_interpreted.py", "1"), ("triton_compiled.py", "0")])
def test_kernels(file: str, interpret: str, tmp_path: Path) -> None:
    if interpret == "1" and version("triton").startswith(("3.5.", "3.6.")):
        pytest.skip("Triton's interpreter before 3.7 fails with NumPy 2.4")
    told = {"TRITON_INTERPRET": interpret, "TRITON_CACHE_DIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__).with_name(file))]
    run = subprocess.run(command, env={**os.environ, **told}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "skipped" not in run.stdout
