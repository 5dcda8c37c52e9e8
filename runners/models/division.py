"""Divide a model among the processes that torchrun started: tensor parallelism, as transformers plans it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runners.engine.parallel import ranks
from workloads.errors import UsageError

if TYPE_CHECKING:
    from transformers.distributed.configuration_utils import DistributedConfig

TEXT = "model.language_model."  # of every family that the engine knows
LAYER = {
    "self_attn.q_proj": "colwise",
    "self_attn.k_proj": "colwise",
    "self_attn.v_proj": "colwise",
    "self_attn.o_proj": "rowwise",
    "mlp.gate_proj": "colwise",
    "mlp.up_proj": "colwise",
    "mlp.down_proj": "rowwise",
}
"""The plan of a decoder layer: heads and MLP in parts, hidden states whole."""


def plan_division(name: str, outline: Any) -> DistributedConfig | None:
    """Plan which process loads which part of a model's weights; None where one process runs it alone.

    transformers' own plan of the model, and that of a decoder layer where it has none: its plan of a dense Qwen3-VL
    leaves the layers out. The vision encoder is whole in every process.

    Args:
        outline: the model without weights.

    Raises:
        UsageError: it cannot be divided into so many parts.
    """
    parts = ranks()
    if parts == 1:
        return None
    from transformers.distributed.configuration_utils import DistributedConfig

    require_divisible(name, outline.config.get_text_config(), parts)
    modules = {module for module, _ in outline.named_modules()}
    layer = {f"{TEXT}layers.*.{part}": style for part, style in LAYER.items() if f"{TEXT}layers.0.{part}" in modules}
    return DistributedConfig(tp_size=parts, tp_plan={**layer, **outline.tp_plan})


def require_divisible(name: str, text: Any, parts: int) -> None:
    """UsageError where so many processes cannot have the same number of heads each, and an MLP of the same width."""
    sizes = {
        "heads": text.num_attention_heads,
        "heads of keys and values": text.num_key_value_heads,
        "numbers in an MLP": getattr(text, "moe_intermediate_size", None) or text.intermediate_size,
    }
    for what, size in sizes.items():
        if size % parts:
            raise UsageError(
                f"model '{name}' has {size} {what}, which {parts} processes cannot share evenly: "
                "start as many with torchrun --nproc-per-node as divide them"
            )
