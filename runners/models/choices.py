"""Choices of how a model is loaded: number formats, devices, device maps. Nothing heavy is imported here."""

from __future__ import annotations

from workloads.registry import Contents

AUTO = "auto"
SINGLE = "single"
DTYPES = (AUTO, "float32", "bfloat16", "float16")
DEVICES = (AUTO, "cpu", "cuda")
DEVICE_MAPS = (SINGLE, AUTO)
READS: dict[str, Contents] = {"builtin": "cards", "reader": "text"}
"""What those models can read in pictures that can read nothing else."""

PIXELS_PER_TOKEN = {"builtin": 16, "reader": 28}
"""The side of the square that those models make one token of."""
