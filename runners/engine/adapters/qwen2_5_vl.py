"""Qwen2.5-VL (arXiv 2502.13923): M-RoPE with chunked sections, windows in the encoder, time in seconds."""

from __future__ import annotations

from runners.engine.adapters.qwen_vl import QwenVL
from runners.engine.shapes import MediaGrid


class Qwen25VL(QwenVL):
    """See ``Adapter``."""

    def _encoder_widths(self) -> tuple[int, int, int]:
        return self._vision.hidden_size, self._vision.intermediate_size, 3

    def _patches_seen(self, grid: MediaGrid) -> int:
        """Attention of windowed layers stays within windows, that of full ones within a time step."""
        vision, per_step = self._vision, grid.height * grid.width
        window = min(per_step, (vision.window_size // vision.patch_size) ** 2)
        full_layers = len(set(vision.fullatt_block_indexes) & set(range(vision.depth)))
        return int(full_layers * per_step + (vision.depth - full_layers) * window)

    def _time_interval(self, grid: MediaGrid) -> float:
        """A video's time step spans ``tokens_per_second`` positions a second."""
        return float(self._vision.tokens_per_second * grid.seconds_per_step) if grid.kind == "video" else 1.0
