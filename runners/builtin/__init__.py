"""The embedded model: a small Qwen2.5-VL trained on this project's own workloads, and its training recipe."""

from __future__ import annotations

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "model"
