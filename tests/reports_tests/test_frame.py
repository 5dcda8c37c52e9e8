from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reports.run.frame import FRAME_COLUMNS, to_frame
from runners.records import Record, Status

MakeRecord = Callable[..., Record]


def test_one_line_per_record_with_every_number(make_record: MakeRecord) -> None:
    frame = to_frame([make_record("q0", ttft_ms=12.5), make_record("q1", fallbacks=("a", "b"))])
    assert list(frame.columns) == list(FRAME_COLUMNS)
    assert frame["ttft_ms"].tolist() == [12.5, 100.0]
    assert frame["vision_tokens"].tolist() == [100, 100]
    assert frame["fallbacks"].tolist() == [0, 2]
    assert frame["warmth"].tolist() == ["warm", "warm"]


def test_every_column_has_a_name_of_its_own() -> None:
    assert len(set(FRAME_COLUMNS)) == len(FRAME_COLUMNS)


def test_a_failed_request_keeps_its_identity_and_has_no_numbers(make_record: MakeRecord) -> None:
    failed = make_record(status=Status.REUSE_VIOLATED)
    measured = make_record()
    half_done = replace(failed, timing=measured.timing, cache=measured.cache, score=1.0)
    frame = to_frame([failed, half_done])
    assert frame["request"].tolist() == ["q0", "q0"]
    assert frame["ok"].tolist() == [False, False]
    assert frame["score"].tolist() == [0, 0]
    assert frame[["ttft_ms", "media", "kl", "agrees", "fallbacks"]].isna().all(axis=None)


def test_unknown_is_nan_never_zero(make_record: MakeRecord) -> None:
    frame = to_frame([make_record(kl=None, agrees=None)])
    assert frame[["kl", "agrees", "kv_bytes_per_token"]].isna().all(axis=None)


def test_no_records_give_an_empty_frame_with_all_columns() -> None:
    frame = to_frame([])
    assert list(frame.columns) == list(FRAME_COLUMNS)
    assert frame.empty
