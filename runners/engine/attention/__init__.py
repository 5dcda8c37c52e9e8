"""Attention of a subset of tokens over a prompt's keys: one contract, one backend per file."""

from __future__ import annotations

from runners.engine.attention.base import Attention
from runners.engine.attention.sdpa import Sdpa
from runners.engine.attention.view import LookBack

__all__ = ["Attention", "LookBack", "Sdpa"]
