"""Compute the error map: the error of every layer and token against full recomputation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runners.analysis.exact import recompute
from runners.analysis.observe import Seen
from runners.analysis.records import ErrorMap
from runners.engine.plan import FreshLayer


@dataclass(frozen=True)
class Compared:
    """One request compared with its full recomputation.

    Attributes:
        errors: of what the method used.
        deviation: relative error of the reusable tokens' stored V, ``(layers, reusable)``.
        logits: of the first token, all recomputed, ``(vocabulary,)``.
    """

    errors: ErrorMap
    deviation: NDArray[np.float32]
    logits: NDArray[np.float32]


def compare(seen: Seen) -> Compared:
    """Recompute a request in full and compare."""
    context, device = seen.context, seen.states.device
    vision, reusable = seen.tokens.to(device), context.candidates().to(device)
    names = ("delta_k", "delta_v", "relative_k", "relative_v", "cosine")
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    deviation: list[NDArray[np.float32]] = []

    def look(fresh: FreshLayer) -> None:
        used, stored, layer = context.kv, seen.stored, fresh.layer
        for name, mine, true in (("k", used.k, fresh.k), ("v", used.v, fresh.v)):
            delta, relative = _difference(mine[layer][:, vision], true[:, vision])
            rows[f"delta_{name}"].append(_plain(delta))
            rows[f"relative_{name}"].append(_plain(relative))
        states = seen.states[layer].float(), fresh.hidden[vision].float()
        rows["cosine"].append(_plain(torch.nn.functional.cosine_similarity(*states, dim=-1)))
        deviation.append(_plain(_difference(stored.v[layer][:, reusable], fresh.v[:, reusable])[1]))

    logits = recompute(context, look)
    errors = ErrorMap(**{name: np.stack(found) for name, found in rows.items()}, computed=seen.computed.numpy())
    return Compared(errors, np.stack(deviation), logits)


def _difference(mine: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Compute absolute and relative L2 norms of the difference, ``(tokens,)``, of ``(kv_heads, tokens, head_dim)``."""
    delta = _norm(mine.float() - true.float())
    size = _norm(true.float())
    return delta, (delta / size).where(size > 0, torch.nan)


def _norm(values: Tensor) -> Tensor:
    return values.pow(2).sum(dim=(0, 2)).sqrt()


def _plain(values: Tensor) -> NDArray[np.float32]:
    plain: NDArray[np.float32] = values.cpu().numpy()
    return plain
