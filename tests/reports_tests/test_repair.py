"""What a runner decided about repair, and how often its answer changed, from records to the summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import beta, binomtest

from reports.run.frame import REPAIR, to_frame
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.statistics.binomial import share_interval
from reports.statistics.levels import FIRST_LOOK, LAST_LOOK, ONE_LOOK, AlphaShares
from reports.summary.repair import repair_values
from reports.summary.row import Row
from reports.summary.summarise import summarise
from runners.records import Record, Repair, Status, Warmth

MakeRecord = Callable[..., Record]

ALPHA = 0.05
SHARES = ("kept_share", "repaired_share", "recomputed_share", "unlike_share", "skipped_share", "doubt_share")
FOUND = ("risk_found", "risk_found_ci_low", "risk_found_ci_high")


@pytest.fixture
def decided(make_record: MakeRecord) -> Callable[..., Record]:
    """A warm record of ``vlcache`` with a decision: share, estimate, and why everything was computed if it was."""

    def make(
        number: int,
        share: float,
        risk: float | None = 0.01,
        *,
        unlike: bool = False,
        in_doubt: bool = False,
        skipped: bool = False,
        **other: Any,
    ) -> Record:
        record = make_record(f"q{number}", "vlcache", **other)
        return replace(record, repair=Repair(share, risk, unlike, in_doubt, skipped))

    return make


def values(records: Sequence[Record], promised: float | None = 0.02, shares: AlphaShares = ONE_LOOK) -> dict[str, Any]:
    return repair_values(to_frame(records), promised, 0.015, "300 requests of quote", ALPHA, shares)


def test_levels_are_shares_of_the_warm_requests(decided: Callable[..., Record]) -> None:
    levels = [
        (0.0, {}),
        (0.0, {}),
        (0.0, {}),
        (0.05, {}),
        (0.5, {}),
        (1.0, {"in_doubt": True}),
        (1.0, {"unlike": True}),
        (1, {"unlike": True}),
        (1, {"skipped": True}),
        (1, {"skipped": True}),
    ]
    records = [decided(number, share, **why) for number, (share, why) in enumerate(levels)]
    found = values(records)
    assert [found[name] for name in SHARES] == [3 / 10, 2 / 10, 5 / 10, 2 / 8, 2 / 10, 1 / 10]
    assert values(records[-2:])["unlike_share"] is None, "none was looked at"
    assert (found["risk_promised"], found["risk_threshold"]) == (0.02, 0.015)
    assert found["calibration"] == "300 requests of quote"


def test_the_prediction_is_the_mean_of_the_estimates_that_were_made(decided: Callable[..., Record]) -> None:
    records = [decided(0, 0.0, 0.01), decided(1, 0.05, 0.03), decided(2, 1.0, 0.0)]
    assert values(records)["risk_predicted"] == pytest.approx(0.04 / 3)
    given = [decided(number, 0.05, None) for number in range(3)]
    assert values(given)["risk_predicted"] is None
    assert values([*records, *(decided(number, 0.05, None) for number in (3, 4))])["risk_predicted"] == pytest.approx(
        0.04 / 3
    )


def test_cold_partial_and_failed_requests_take_no_part(decided: Callable[..., Record]) -> None:
    records = [
        decided(0, 0.0, 0.01),
        decided(1, 1.0, 0.5, warmth=Warmth.COLD, agrees=False),
        decided(2, 1.0, 0.5, warmth=Warmth.PARTIAL, agrees=False),
        decided(3, 1.0, 0.5, status=Status.ERROR),
    ]
    found = values(records)
    assert [found[name] for name in SHARES] == [1, 0, 0, 0, 0, 0]
    assert (found["risk_predicted"], found["risk_found"]) == (0.01, 0)


def test_what_changed_is_found_by_the_first_warm_request_of_each_cluster(decided: Callable[..., Record]) -> None:
    asked = [
        ("a", Warmth.COLD, False),  # not warm
        ("a", Warmth.WARM, True),
        ("a", Warmth.WARM, False),  # not the first
        ("b", Warmth.WARM, False),
        ("b", Warmth.WARM, True),
        ("c", Warmth.WARM, None),  # nothing to compare with
        ("c", Warmth.WARM, True),
        ("d", Warmth.WARM, True),
    ]
    records = [
        decided(number, 0.0, cluster=cluster, warmth=warmth, agrees=agrees)
        for number, (cluster, warmth, agrees) in enumerate(asked)
    ]
    ends = binomtest(1, 4).proportion_ci(1 - ALPHA, "exact")
    assert [values(records)[name] for name in FOUND] == pytest.approx([1 / 4, ends.low, ends.high])
    for at_low, at_high, shares in ((0.98, 0.02, FIRST_LOOK), (0.02, 0.98, LAST_LOOK)):
        low, high = (binomtest(1, 4).proportion_ci(1 - ALPHA * share, "exact") for share in (at_low, at_high))
        found = values(records, shares=shares)
        assert [found[name] for name in FOUND] == pytest.approx([1 / 4, low.low, high.high]), "two looks share alpha"


def test_nothing_is_found_where_nothing_can_be_compared(decided: Callable[..., Record]) -> None:
    found = values([decided(0, 0.0, agrees=None)])
    assert [found[name] for name in FOUND] == [None] * 3
    assert found["kept_share"] == 1


@pytest.mark.parametrize("count", [0, 1, 3, 149, 150])
def test_bounds_are_those_of_clopper_and_pearson(count: int) -> None:
    found, known = share_interval(count, 150, ALPHA), binomtest(count, 150).proportion_ci(1 - ALPHA, "exact")
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-12)


def test_bounds_by_hand() -> None:
    """Without a change the upper end is where 149 answers all stay with a probability of 2.5 %."""
    none, all_of_them = share_interval(0, 149, ALPHA), share_interval(149, 149, ALPHA)
    assert (none.low, none.high) == pytest.approx((0, 1 - 0.025 ** (1 / 149)))
    assert (all_of_them.low, all_of_them.high) == pytest.approx((0.025 ** (1 / 149), 1))
    one = share_interval(1, 2, 0.1)
    assert (one.low, one.high) == pytest.approx((1 - 0.95**0.5, 0.95**0.5))
    assert one.low == pytest.approx(beta.ppf(0.05, 1, 2))


def test_the_90th_percentile_is_over_requests_and_of_every_runner(make_record: MakeRecord) -> None:
    records = [make_record(f"q{number}", computed_token_layers=50 * number) for number in range(11)]
    records.append(make_record("cold", warmth=Warmth.COLD, computed_token_layers=0))
    found = values(records, None)
    assert found.pop("recompute_ratio_p90") == pytest.approx(0.9)
    assert set(found.values()) == {None}, "no other method decides about repair"


def test_prompts_without_vision_tokens_have_no_share(make_record: MakeRecord) -> None:
    records = [make_record("q0", vision_tokens=0, computed_token_layers=0), make_record("q1", computed_token_layers=50)]
    assert values(records)["recompute_ratio_p90"] == pytest.approx(0.1)
    assert values(records[:1])["recompute_ratio_p90"] is None


def test_a_runner_that_promises_nothing_has_levels_alone(decided: Callable[..., Record]) -> None:
    found = values([decided(0, 0.05, None, agrees=False)], None)
    assert (found["risk_promised"], found["calibration"], found["repaired_share"]) == (None, None, 1)
    assert found["risk_threshold"] is None
    assert found["risk_found"] == 1


def test_records_with_and_without_a_decision_come_back(decided: Callable[..., Record], make_record: MakeRecord) -> None:
    records = [make_record("q0"), decided(1, 0.05, 0.0125), decided(2, 1.0, 0.0, unlike=True), decided(3, 0.1, None)]
    back = [Record.from_json(json.loads(json.dumps(record.to_json()))) for record in records]
    assert back == records
    frame = to_frame(back)
    assert frame[list(REPAIR)].iloc[1].tolist() == [0.05, 0.0125, 0, 0, 0]
    assert frame["repair_unlike"].tolist()[1:] == [0, 1, 0]
    assert frame["repair_risk"].isna().tolist() == [True, False, False, True]
    assert frame[list(REPAIR)].iloc[0].isna().all()


def test_a_record_of_a_version_that_recorded_no_decision_is_read(make_record: MakeRecord) -> None:
    record = make_record("q0")
    old = record.to_json()
    del old["repair"]
    assert Record.from_json(json.loads(json.dumps(old))) == record


@pytest.mark.parametrize("repair", [{"risk": 0.1}, {"share": "much", "risk": 0.1}, 0.05])
def test_a_record_with_half_a_decision_is_refused(make_record: MakeRecord, repair: Any) -> None:
    with pytest.raises(ValueError, match="repair"):
        Record.from_json(make_record("q0").to_json() | {"repair": repair})


def summary(records: Sequence[Record], manifest: dict[str, Any]) -> dict[str, Row]:
    run = Measurements(Manifest.check(manifest, "here"), list(records))
    return {row.runner: row for row in summarise(run, 0.02, ALPHA)}


def test_promise_and_calibration_are_those_of_the_manifest(
    decided: Callable[..., Record], make_record: MakeRecord, manifest: dict[str, Any]
) -> None:
    records = [make_record("q0"), decided(0, 0.0), make_record("q0", "prefix-cache")]
    silent = summary(records, manifest)["vlcache"]
    assert (silent.risk_promised, silent.calibration, silent.kept_share) == (None, None, 1)
    manifest["runners"][0]["promised_risk"] = 0.05
    uncalibrated = summary(records, manifest)["vlcache"]
    assert (uncalibrated.risk_promised, uncalibrated.calibration) == (0.05, None)
    manifest["model"]["profile"] = {"risk": {"families": ["quote", "prose"], "requests": 290, "levels": []}}
    rows = summary(records, manifest)
    assert (rows["vlcache"].calibration, rows["vlcache"].risk_threshold) == ("290 requests of quote, prose", 0)
    for name in ("full", "prefix-cache"):
        assert (rows[name].risk_promised, rows[name].calibration, rows[name].kept_share) == (None, None, None)


@pytest.mark.parametrize(
    ("of_model", "of_runner", "counts"),
    [
        ("template", "template", True),
        ("template", "previous", False),
        (None, "previous", True),
        ("template", None, False),
    ],
)
def test_a_calibration_counts_for_its_donor_policy(
    manifest: dict[str, Any], of_model: str | None, of_runner: str | None, counts: bool
) -> None:
    promises = [{"risk": 0.02, "threshold": 0.015}]
    risk = {"families": ["quote"], "requests": 290, "promises": promises, "donor": of_model}
    manifest["model"]["profile"] = {"risk": risk}
    manifest["runners"][0] |= {"promised_risk": 0.02, "options": {} if of_runner is None else {"donor": of_runner}}
    checked = Manifest.check(manifest, "here")
    label = checked.labels[0]
    assert (checked.calibration(label) is not None) == counts
    assert checked.risk_threshold(label) == (0.015 if counts else None)


@pytest.mark.parametrize(("of_runner", "counts"), [(None, True), ("auto", True), ("written", True), ("other", False)])
def test_a_calibration_counts_for_its_ranking(manifest: dict[str, Any], of_runner: str | None, counts: bool) -> None:
    risk = {"families": ["quote"], "requests": 290, "promises": [], "donor": "template", "ranking": "written"}
    manifest["model"]["profile"] = {"risk": risk}
    ranking = {} if of_runner is None else {"ranking": of_runner}
    manifest["runners"][0] |= {"promised_risk": 0.02, "options": {"donor": "template"} | ranking}
    checked = Manifest.check(manifest, "here")
    assert (checked.calibration(checked.labels[0]) is not None) == counts


@pytest.mark.parametrize(
    ("risk", "threshold"), [(0.02, 0.015), (0.03, 0.015), (0.05, 0.06), (0.5, 0.06), (0.015, 0.0), (0.001, 0.0)]
)
def test_the_threshold_is_that_of_the_least_cautious_promise(
    manifest: dict[str, Any], risk: float, threshold: float
) -> None:
    manifest["runners"][0]["promised_risk"] = risk
    promises = [{"risk": at, "threshold": to} for at, to in ((0.01, 0.0), (0.02, 0.015), (0.05, 0.06))]
    manifest["model"]["profile"] = {"risk": {"families": ["quote"], "requests": 290, "promises": promises}}
    checked = Manifest.check(manifest, "here")
    assert [checked.risk_threshold(label) for label in checked.labels] == [threshold, None, None]


@pytest.mark.parametrize("profile", [{}, {"risk": None}, {"probe_layers": [0, 1], "sensitivity": []}])
def test_a_manifest_without_a_calibration_is_read(manifest: dict[str, Any], profile: dict[str, Any]) -> None:
    assert Manifest.check(manifest, "here").calibration("vlcache") is None
    manifest["model"]["profile"] = profile
    found = Manifest.check(manifest, "here")
    assert found.calibration("vlcache") is None
    assert [found.promised_risk(label) for label in found.labels] == [None] * 3
    assert [found.risk_threshold(label) for label in found.labels] == [None] * 3
