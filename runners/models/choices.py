"""Choices of how a model is loaded: number formats, devices, device maps. Nothing heavy is imported here."""

from __future__ import annotations

AUTO = "auto"
SINGLE = "single"
DTYPES = (AUTO, "float32", "bfloat16", "float16")
DEVICES = (AUTO, "cpu", "cuda")
DEVICE_MAPS = (SINGLE, AUTO)
