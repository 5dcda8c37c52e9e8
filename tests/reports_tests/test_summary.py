from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.summary.row import COLUMNS
from reports.summary.summarise import summarise
from runners.records import Record, Status, Warmth

MakeRecord = Callable[..., Record]

MARGIN, ALPHA = 0.02, 0.05
CONTRACT = """
runner workload model device dtype requests failed accuracy accuracy_ci_low accuracy_ci_high accuracy_delta
accuracy_delta_ci_low accuracy_delta_ci_high agreement verdict kl_mean ttft_ms_p50 ttft_ms_p90 ttft_ms_p99 ttft_speedup
ttft_speedup_ci_low ttft_speedup_ci_high ttft_speedup_all ttft_speedup_vs_lossless cold_ttft_ratio break_even_reuses
vision_tokens recompute_ratio executed_flops_ratio media_hit_rate kv_hit_rate encoder_hit_rate floor_ratio
peak_memory_mb kv_bytes_per_token
"""


@pytest.fixture
def rows(make_record: MakeRecord, manifest: dict[str, Any]) -> dict[str, Any]:
    """One cold and four warm requests; vlcache is wrong once and fails once."""
    records = []
    for number in range(5):
        request = f"q{number}"
        warmth = Warmth.WARM if number else Warmth.COLD
        stood = {"warmth": warmth, "recurring": 3 if number else 0}
        misses = {} if number else {"media_hits": 0, "kv_hits": 0, "encoder_hits": 0}
        records.append(
            make_record(request, "full", ttft_ms=100.0 + number, media_hits=0, kv_hits=0, encoder_hits=0, **stood)
        )
        records.append(
            make_record(request, "prefix-cache", ttft_ms=50.0 if number else 110.0, kl=1e-6, **stood, **misses)
        )
        records.append(
            make_record(
                request,
                "vlcache",
                ttft_ms=20.0 + number if number else 130.0,
                host_ttft_ms=25.0 if number else None,
                score=0.0 if number == 2 else 1.0,
                agrees=number != 2,
                kl=0.01 * number,
                status=Status.ERROR if number == 4 else Status.OK,
                computed_token_layers=25 * number if number else 500,
                flops=1e8 * number if number else 1.1e9,
                kv_bytes_per_token=640.0,
                fallbacks=("budget",) if number == 3 else (),
                **stood,
                **misses,
            )
        )
    return {
        row.runner: row for row in summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    }


def test_every_column_is_there_in_order_and_holds_plain_types(rows: dict[str, Any]) -> None:
    for row in rows.values():
        document = row.to_json()
        assert list(document) == [column.name for column in COLUMNS]
        assert set(CONTRACT.split()) <= set(document)
        assert {type(value) for value in document.values()} <= {str, int, float, type(None)}


def test_reference_comes_first_then_the_runners_as_given(rows: dict[str, Any]) -> None:
    assert list(rows) == ["full", "vlcache", "prefix-cache"]


def test_identity_comes_from_the_manifest(rows: dict[str, Any]) -> None:
    row = rows["vlcache"]
    assert (row.workload, row.model, row.device, row.dtype) == ("binding", "builtin", "cpu", "float32")


def test_failed_requests_count_as_wrong_and_have_no_time(rows: dict[str, Any]) -> None:
    row = rows["vlcache"]
    assert (row.requests, row.failed) == (5, 1)
    assert row.accuracy == pytest.approx(3 / 5)
    assert row.accuracy_delta == pytest.approx(-2 / 4), "the cold request, right with both, is not compared"
    assert row.compared == 4
    assert row.agreement == pytest.approx(3 / 5)
    assert row.ttft_ms_p50 == pytest.approx((22 + 23) / 2)


def test_divergence_is_the_mean_over_answers(rows: dict[str, Any]) -> None:
    assert rows["vlcache"].kl_mean == pytest.approx((0 + 0.01 + 0.02 + 0.03) / 4)


def test_speedups_are_medians_of_ratios_of_the_same_request(rows: dict[str, Any]) -> None:
    row = rows["vlcache"]
    warm = [101 / 21, 102 / 22, 103 / 23]
    assert row.ttft_speedup == pytest.approx(warm[1])
    assert row.ttft_speedup_ci_low is None
    assert row.ttft_speedup_all == pytest.approx((warm[1] + warm[2]) / 2)
    assert row.cold_ttft_ratio == pytest.approx(1.3)


def test_the_best_lossless_runner_is_the_other_yardstick(rows: dict[str, Any]) -> None:
    assert {row.best_lossless for row in rows.values()} == {"prefix-cache"}
    assert rows["vlcache"].ttft_speedup_vs_lossless == pytest.approx(50 / 22)
    assert rows["prefix-cache"].ttft_speedup_vs_lossless == 1
    assert rows["full"].ttft_speedup_vs_lossless == pytest.approx((50 / 102 + 50 / 103) / 2)


def test_break_even_is_extra_cost_over_saving(rows: dict[str, Any]) -> None:
    assert rows["vlcache"].break_even_reuses == pytest.approx((130 - 100) / 80)
    assert rows["full"].break_even_reuses is None


def test_ratios_of_work_are_sums_over_warm_requests(rows: dict[str, Any]) -> None:
    row = rows["vlcache"]
    assert row.recompute_ratio == pytest.approx((25 + 50 + 75) / (3 * 500))
    assert row.executed_flops_ratio == pytest.approx(6e8 / 3e9)
    assert (row.vision_tokens, row.content_share, row.kv_bytes_per_token) == (100, 0.25, 640)
    assert (row.store_ms_p50, row.fallbacks) == (2, 1)


def test_reuse_from_the_host_has_a_time_and_a_speed_up_of_its_own(rows: dict[str, Any]) -> None:
    assert rows["vlcache"].ttft_host_ms_p50 == 25.0
    assert rows["vlcache"].ttft_host_speedup == pytest.approx(102 / 25), "of requests 1 to 3: the last one failed"
    assert rows["full"].ttft_host_ms_p50 is rows["full"].ttft_host_speedup is None


def test_hit_rates_of_all_and_of_recurring_media(rows: dict[str, Any]) -> None:
    row = rows["vlcache"]
    for kind in ("media", "kv", "encoder"):
        assert getattr(row, f"{kind}_hit_rate") == pytest.approx(9 / 12)
        assert getattr(row, f"{kind}_hit_rate_recurring") == 1
        assert getattr(rows["full"], f"{kind}_hit_rate_recurring") == 0


def test_the_reference_is_not_estimated_against_itself(rows: dict[str, Any]) -> None:
    row = rows["full"]
    assert (row.accuracy_delta, row.ttft_speedup, row.agreement) == (0, 1, 1)
    assert row.accuracy_delta_ci_low is None
    assert row.ttft_speedup_ci_high is None
    assert 0 < row.accuracy_ci_low < 1


def test_what_is_not_measured_yet_is_not_made_up(rows: dict[str, Any]) -> None:
    for row in rows.values():
        assert (row.floor_ratio, row.peak_memory_mb) == (None, None)


def test_one_request_tells_no_uncertainty(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    records = [make_record("q0", label, ttft_ms=ttft) for label, ttft in (("full", 100.0), ("vlcache", 50.0))]
    _, row = summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    assert (row.accuracy, row.ttft_speedup) == (1, 2)
    assert {value for name, value in row.to_json().items() if "_ci_" in name} == {None}
    assert row.verdict is None


def test_requests_of_one_cluster_tell_no_uncertainty(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    records = [make_record(f"q{number}", "full", cluster="album") for number in range(9)]
    (row,) = summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    assert row.accuracy_ci_low is None


def judged(
    make_record: MakeRecord, manifest: dict[str, Any], wrong: int, margin: float = MARGIN, alpha: float = ALPHA
) -> dict[str, Any]:
    """Rows of 200 requests, each a cluster; vlcache is wrong on some of them, its answers come at once."""
    records = []
    for number in range(200):
        records += [make_record(f"q{number}", label, ttft_ms=100.0 + number % 7) for label in ("full", "prefix-cache")]
        records.append(make_record(f"q{number}", "vlcache", ttft_ms=10.0, score=float(number >= wrong)))
    return {
        row.runner: row for row in summarise(Measurements(Manifest.check(manifest, "here"), records), margin, alpha)
    }


@pytest.mark.parametrize(("wrong", "verdict"), [(0, "non-inferior"), (3, "undecided"), (40, "inferior")])
def test_a_verdict_goes_by_the_interval_of_the_change(
    make_record: MakeRecord, manifest: dict[str, Any], wrong: int, verdict: str
) -> None:
    rows = judged(make_record, manifest, wrong)
    row = rows["vlcache"]
    assert (row.verdict, row.margin, row.alpha) == (verdict, MARGIN, ALPHA)
    assert (row.compared, row.compared_worth) == (200, pytest.approx(200))
    assert row.accuracy_delta_ci_low < row.accuracy_delta < row.accuracy_delta_ci_high
    assert (rows["prefix-cache"].verdict, rows["full"].verdict) == ("exact", None)


def test_margin_and_confidence_are_the_users(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    usual, lenient, surer = (
        judged(make_record, manifest, 3, margin, alpha)["vlcache"]
        for margin, alpha in ((0.02, 0.05), (0.1, 0.05), (0.02, 0.001))
    )
    assert (usual.verdict, lenient.verdict) == ("undecided", "non-inferior")
    for name in ("accuracy", "accuracy_delta", "ttft_speedup"):
        (low, high), (lower, higher) = (
            (getattr(row, f"{name}_ci_low"), getattr(row, f"{name}_ci_high")) for row in (usual, surer)
        )
        assert lower <= low <= high <= higher
    assert surer.accuracy_delta_ci_low < usual.accuracy_delta_ci_low


def test_the_interval_of_a_speedup_holds_its_median(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    row = judged(make_record, manifest, 0)["vlcache"]
    assert 10 < row.ttft_speedup_ci_low <= row.ttft_speedup <= row.ttft_speedup_ci_high < 10.7


def test_a_runner_for_analysis_has_answers_and_neither_times_nor_a_verdict(
    make_record: MakeRecord, manifest: dict[str, Any]
) -> None:
    manifest["runners"][0] |= {"lossless": True, "analysis_only": True}
    rows = judged(make_record, manifest, 3)
    row = rows["vlcache"]
    assert (row.accuracy, row.accuracy_delta) == (0.985, pytest.approx(-0.015))
    assert row.accuracy_delta_ci_low is not None
    assert {value for name, value in row.to_json().items() if "ttft" in name} == {None}
    assert (row.verdict, row.break_even_reuses, row.store_ms_p50) == (None, None, None)
    assert rows["prefix-cache"].best_lossless != "vlcache"


def test_a_stream_without_recurrence_has_no_warm_numbers(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    records = [
        make_record(f"q{number}", label, warmth=Warmth.COLD, recurring=0)
        for number in range(3)
        for label in ("full", "vlcache")
    ]
    _, row = summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    for name in ("ttft_speedup", "ttft_speedup_vs_lossless", "best_lossless", "recompute_ratio", "break_even_reuses"):
        assert getattr(row, name) is None
    assert row.kv_hit_rate_recurring is None
    assert (row.ttft_speedup_all, row.cold_ttft_ratio) == (1, 1)


def test_hits_of_a_medium_sent_twice_in_one_prompt_are_no_recurring_hits(
    make_record: MakeRecord, manifest: dict[str, Any]
) -> None:
    records = [make_record("q0", recurring=1, media_hits=2, kv_hits=0), make_record("q1", recurring=3, media_hits=0)]
    (row,) = summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    assert row.media_hit_rate_recurring == 1 / 4


def test_nothing_is_compared_where_the_reference_failed(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    records = [
        make_record("q0", "full", status=Status.OUT_OF_MEMORY),
        make_record("q0", "vlcache", agrees=None, kl=None),
        make_record("q1", "full"),
        make_record("q1", "vlcache", status=Status.BAD_MEDIA),
    ]
    reference, row = summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    assert (reference.failed, reference.accuracy) == (1, 0.5)
    assert (row.ttft_speedup, row.kl_mean) == (None, None)
    assert row.agreement == 0
    assert row.accuracy_delta == 0


def test_all_failed_leaves_counts_and_wrong_answers_only(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    records = [make_record(f"q{number}", "full", status=Status.ERROR) for number in range(2)]
    (row,) = summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    assert (row.requests, row.failed, row.accuracy) == (2, 2, 0)
    assert (row.ttft_ms_p50, row.vision_tokens, row.media_hit_rate, row.agreement) == (None,) * 4


def test_a_run_cut_short_before_the_reference_answered(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    (row,) = summarise(Measurements(Manifest.check(manifest, "here"), [make_record("q0", "vlcache")]), MARGIN, ALPHA)
    assert (row.requests, row.ttft_speedup, row.accuracy_delta, row.agreement) == (1, None, None, None)


def test_workloads_stand_apart_and_in_the_order_given(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    manifest["workloads"] = dict.fromkeys(["video", "binding", "doc-qa"], "abc")
    records = [make_record("q0", "full"), make_record("q0", "full", workload="video", score=0.0)]
    assert [
        (row.workload, row.accuracy)
        for row in summarise(Measurements(Manifest.check(manifest, "here"), records), MARGIN, ALPHA)
    ] == [
        ("video", 0),
        ("binding", 1),
    ]


def test_no_records_no_rows(manifest: dict[str, Any]) -> None:
    assert summarise(Measurements(Manifest.check(manifest, "here"), []), MARGIN, ALPHA) == []


def test_flips_stand_beside_those_that_rounding_makes(make_record: MakeRecord, manifest: dict[str, Any]) -> None:
    manifest["runners"].append({"label": "noise", "method": "full", "lossless": True})
    records = [
        make_record(f"q{number}", runner, agrees=number >= changed)
        for number in range(10)
        for runner, changed in (("full", 0), ("vlcache", 3), ("noise", 1))
    ]
    rows = {row.runner: row for row in summarise(Measurements(Manifest.check(manifest, "here"), records), 0.02, 0.05)}
    assert [rows[label].flip_rate for label in ("full", "vlcache", "noise")] == pytest.approx([0, 0.3, 0.1])
    assert [row.noise_flip_rate for row in rows.values()] == pytest.approx([0.1] * 3)
    alone = [record for record in records if record.runner != "noise"]
    assert {
        row.noise_flip_rate for row in summarise(Measurements(Manifest.check(manifest, "here"), alone), 0.02, 0.05)
    } == {None}
