"""Qwen2-VL (arXiv 2409.12191): M-RoPE with chunked sections; a video's position in time counts its steps."""

from __future__ import annotations

from runners.engine.adapters.qwen_vl import QwenVL


class Qwen2VL(QwenVL):
    """See ``Adapter``."""

    def _encoder_widths(self) -> tuple[int, int, int]:
        return self._vision.embed_dim, self._vision.embed_dim * self._vision.mlp_ratio, 2
