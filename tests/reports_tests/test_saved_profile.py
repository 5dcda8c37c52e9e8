"""Tables of a profile are read within bounds, and only with the columns, types and ranges that they must have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.profile import saved
from reports.profile.error_map import COLUMNS, ERRORS
from reports.profile.saved import read_profile
from workloads.errors import UsageError

ROW: dict[str, Any] = {
    "workload": "w",
    "request": "q",
    "kl": 0.1,
    "layer": 0,
    "medium": 0,
    "token": 0,
    "computed": False,
    **dict.fromkeys(ERRORS, 0.5),
}


def write(folder: Path, **values: Any) -> None:
    frame = pd.DataFrame({name: [value, value] for name, value in (ROW | values).items() if value is not None})
    frame.to_parquet(folder / "error_map.parquet")


def test_a_table_is_read(tmp_path: Path) -> None:
    write(tmp_path)
    assert set(read_profile(tmp_path).errors.columns) == set(COLUMNS)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"layer": -1}, "layer must lie from 0 to 1024"),
        ({"layer": 1e9}, "layer must lie from 0 to 1024"),
        ({"token": float("nan")}, "token must lie from 0 to"),
        ({"medium": "x"}, "medium holds no numbers"),
        ({"kl": 1e300}, "kl is too large"),
        ({"relative_v": float("inf")}, "relative_v is too large"),
        ({"cosine": None}, "it has no column cosine"),
        ({"workload": 3}, "is no table that vlcache profile wrote"),
        ({"request": [1, 2]}, "is no table that vlcache profile wrote"),
    ],
)
def test_a_table_of_anything_else_is_refused(tmp_path: Path, values: dict[str, Any], told: str) -> None:
    write(tmp_path, **values)
    with pytest.raises(UsageError, match=told) as refusal:
        read_profile(tmp_path)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("bound", ["MOST_ROWS", "MOST_UNPACKED"])
def test_what_unpacks_to_too_much_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    write(tmp_path)
    monkeypatch.setattr(saved, bound, 1)
    with pytest.raises(UsageError, match=r"rows, or unpacks to more than .*; measure fewer samples"):
        read_profile(tmp_path)


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({name: [value] for name, value in ROW.items()})[:0].to_parquet(tmp_path / "error_map.parquet")
    with pytest.raises(UsageError, match="holds no errors"):
        read_profile(tmp_path)
