"""The shortest time a device could take for what was executed: the roofline of its measured ceilings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.run.descriptions import Ceilings


def floor_ms(measured: pd.DataFrame, ceilings: Ceilings) -> pd.Series[float]:
    """Milliseconds for every line of a frame with the columns of ``Demand``; NaN where they are not known.

    Parts run one after the other; in each the device either computes or moves bytes, whichever takes longer. What comes
    from the host's memory comes beside all that. What happens on the host (hashing, decoding, tokenising) has no floor.
    """
    flops, moved = ceilings.flops_per_s, ceilings.bytes_per_s
    seconds = measured["encode_flops"] / flops + measured["load_bytes"] / moved + measured["select_flops"] / flops
    for part in ("prefill", "head"):
        seconds = seconds + np.maximum(measured[f"{part}_flops"] / flops, measured[f"{part}_bytes"] / moved)
    if ceilings.host_bytes_per_s is not None:
        seconds = seconds.clip(lower=measured["fetch_bytes"].fillna(0.0) / ceilings.host_bytes_per_s)
    return seconds * 1e3
