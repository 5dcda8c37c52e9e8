"""The error map as a table, kept as Parquet: one line for each warm request, layer and vision token.

Rows are requests * layers * vision tokens: 48 requests of 500 vision tokens in 8 layers are 190 thousand rows, some
4 MB; 1000 tokens in 36 layers are 1.7 million. Whoever asks for many samples of a large model gets a large file.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from runners.analysis.records import Observation

ERRORS = ("delta_k", "delta_v", "relative_k", "relative_v", "cosine")
COLUMNS = {
    "workload": "category",
    "request": "category",
    "kl": "float32",  # of the request: first-token KL(full || method)
    "layer": "int16",
    "medium": "int16",  # 0 is the first of the prompt
    "token": "int32",  # of the medium
    "computed": "bool",
    **dict.fromkeys(ERRORS, "float32"),
}


def to_frame(observations: Sequence[Observation]) -> pd.DataFrame:
    """All observations as ``COLUMNS``; see ``runners.analysis.records.ErrorMap`` for what the errors are."""
    parts = [_lines(observation) for observation in observations]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    return frame.astype(COLUMNS)


def write(frame: pd.DataFrame, file: Path | BytesIO) -> None:
    """Keep a table."""
    frame.to_parquet(file, engine="pyarrow", compression="zstd", index=False)


def read(file: Path) -> pd.DataFrame:
    """What ``write`` kept."""
    return pd.read_parquet(file, engine="pyarrow")


def by_layer(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean errors of each layer; every request counts the same."""
    return _mean(frame, ["layer"], list(ERRORS))


def by_medium(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean relative error of V over all layers, for each workload and place in the prompt; 0 is the first medium."""
    return _mean(frame, ["workload", "medium"], ["relative_v"])


def by_token(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean relative error of V, for each layer, medium and token of one workload."""
    return _mean(frame, ["layer", "medium", "token"], ["relative_v"])


def _mean(frame: pd.DataFrame, keys: list[str], values: list[str]) -> pd.DataFrame:
    """Means over tokens within each request, then over requests, in double precision."""
    precise = frame.astype(dict.fromkeys(values, np.float64))
    each = precise.groupby(["workload", "request", *(key for key in keys if key != "workload")], observed=True)[values]
    return each.mean().groupby(level=keys, observed=True).mean()


def _lines(observation: Observation) -> pd.DataFrame:
    layers, tokens = observation.layers, len(observation.token)
    errors = observation.errors
    return pd.DataFrame(
        {
            "workload": observation.workload,
            "request": observation.request,
            "kl": observation.kl,
            "layer": np.repeat(np.arange(layers), tokens),
            "medium": np.tile(observation.medium, layers),
            "token": np.tile(observation.token, layers),
            "computed": errors.computed.reshape(-1),
            **{name: getattr(errors, name).reshape(-1) for name in ERRORS},
        }
    )
