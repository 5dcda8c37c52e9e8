"""Attention of a subset of tokens over a prompt's keys: one function, one backend per file."""

from __future__ import annotations

from runners.engine.attention.sdpa import LookBack, attend, look_back

__all__ = ["LookBack", "attend", "look_back"]
