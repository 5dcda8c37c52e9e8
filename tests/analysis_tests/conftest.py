"""Observations made up for what is concluded from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from runners.analysis.records import SHARES, ErrorMap, Observation, Staleness

LAYERS = 4
Make = Callable[..., Observation]


@pytest.fixture
def made_up() -> Make:
    """Makes one observation; what is not said is drawn by a seed."""

    def make(
        request: str = "r0",
        workload: str = "binding",
        cluster: str = "c0",
        kl: Sequence[float] = (0.0, 0.1, 0.5, 0.4),
        loss: float = 1.0,
        sizes: Sequence[int] = (6, 4),
        seed: int = 0,
        stale: bool = True,
        **staleness: object,
    ) -> Observation:
        rng = np.random.default_rng(seed)
        tokens = sum(sizes)
        delta_k, delta_v, relative_k, relative_v, cosine = rng.random((5, LAYERS, tokens), dtype=np.float32)
        computed = rng.random((LAYERS, tokens)) < 0.5
        errors = ErrorMap(delta_k, delta_v, relative_k, relative_v, cosine, computed)
        values: dict[str, object] = {
            "deviation": rng.random((LAYERS, tokens), dtype=np.float32),
            "kl": np.array(kl),
            "drift": rng.random((LAYERS - 1, tokens), dtype=np.float32),
            "kl_repaired": loss * (1 - np.array(SHARES)),
            "kl_probed": np.full(LAYERS - 1, loss / 2),
        }
        return Observation(
            workload=workload,
            request=request,
            cluster_id=cluster,
            kl=loss,
            medium=np.repeat(np.arange(len(sizes)), sizes),
            token=np.concatenate([np.arange(size) for size in sizes]),
            errors=errors,
            staleness=Staleness(**(values | staleness)) if stale else None,  # type: ignore[arg-type]
        )

    return make
