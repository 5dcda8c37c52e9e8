from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reports.gate.claim import Claim, GateResult, Outcome
from reports.gate.judge import judge_run
from reports.gate.policy import Policy, Rule
from reports.gate.requirements import Limits
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.statistics.power import Decision, Truth, requests_to_decide
from reports.summary.summarise import summarise
from runners.records import Record, Status, Warmth
from workloads.errors import UsageError

MakeRun = Callable[..., list[Record]]
Judge = Callable[..., GateResult]

MARGIN, ALPHA = 0.02, 0.05
DISABLED = {
    "media_hits": 0,
    "kv_hits": 0,
    "encoder_hits": 0,
    "fallbacks": ("page is larger than the store's budget",) * 3,
}


@pytest.fixture
def gate(manifest: dict[str, Any]) -> Judge:
    """The verdict on records, by the built-in policy or by rules for ``vlcache``."""

    def run(records: list[Record], policy: Policy | None = None, about: dict[str, Any] | None = None) -> GateResult:
        known = manifest | (about or {})
        rows = summarise(Measurements(Manifest.check(known, "here"), records), MARGIN, ALPHA)
        return judge_run(
            Measurements(Manifest.check(known, "here"), records), rows, policy or Policy(), None, MARGIN, ALPHA
        )

    return run


def requiring(**limits: float | None) -> Policy:
    off: Limits = dict.fromkeys(("margin", "min_speedup", "min_hit_rate", "min_kv_hit_rate"))
    return Policy("mine.yaml", runners=("vlcache",), rules=(Rule(off), Rule(dict(limits))))


def only(verdict: GateResult) -> Claim:
    (claim,) = verdict.claims
    return claim


def unmet(verdict: GateResult) -> list[tuple[str, str, str]]:
    return [
        (claim.runner, claim.requirement, claim.outcome) for claim in verdict.claims if claim.outcome != Outcome.PASS
    ]


def test_an_unchanged_run_passes(make_run: MakeRun, gate: Judge) -> None:
    verdict = gate(make_run())
    assert verdict.outcome is Outcome.PASS
    assert [(claim.runner, claim.requirement) for claim in verdict.claims] == [
        ("vlcache", "margin"),
        ("vlcache", "min_speedup"),
        ("vlcache", "min_hit_rate"),
        ("vlcache", "min_kv_hit_rate"),
        ("prefix-cache", "max_differences"),
        ("prefix-cache", "min_hit_rate"),
    ]
    assert verdict.line == "the gate passes: 6 met of 6 requirements"


def test_a_run_that_changes_some_answers_for_the_better_and_as_many_for_the_worse_passes(
    make_run: MakeRun, gate: Judge
) -> None:
    assert gate(make_run(1000, lost=10, gained=10)).outcome is Outcome.PASS


def test_a_twentieth_of_the_answers_turned_wrong_fails(make_run: MakeRun, gate: Judge) -> None:
    verdict = gate(make_run(1000, lost=50))
    assert unmet(verdict) == [("vlcache", "margin", "fail")]
    claim = verdict.of(Outcome.FAIL)[0]
    assert claim.measured.startswith("-5.0 points [-6.3, -3.")
    assert claim.reason == "the truth lies below -2.0 points, with all 2 tests of this gate allowed for"
    assert verdict.line == "the gate fails: 1 violated, 5 met of 6 requirements"


def test_a_method_that_sleeps_fails(make_run: MakeRun, gate: Judge) -> None:
    verdict = gate(make_run(slower=3.3))
    assert unmet(verdict) == [("vlcache", "min_speedup", "fail")]
    assert verdict.of(Outcome.FAIL)[0].measured == "0.91 [0.91, 0.91]"


def test_a_disabled_store_fails_with_the_reason(make_run: MakeRun, gate: Judge) -> None:
    verdict = gate(make_run(**DISABLED))
    assert unmet(verdict) == [("vlcache", "min_hit_rate", "fail"), ("vlcache", "min_kv_hit_rate", "fail")]
    assert verdict.of(Outcome.FAIL)[0].reason == (
        "below 90.0 %; computed although reusable 600 times, most often: page is larger than the store's budget"
    )


def test_keys_and_values_that_are_never_reused_fail_although_the_encoder_is_spared(
    make_run: MakeRun, gate: Judge
) -> None:
    assert unmet(gate(make_run(kv_hits=0))) == [("vlcache", "min_kv_hit_rate", "fail")]


def test_a_method_that_was_told_to_compute_everything_need_not_reuse(
    make_run: MakeRun, gate: Judge, manifest: dict[str, Any]
) -> None:
    manifest["runners"][0]["options"] = {"ratio": 1.0}
    assert gate(make_run(kv_hits=0)).outcome is Outcome.PASS


def test_ten_samples_are_undecided_and_tell_how_many_would_do(make_run: MakeRun, gate: Judge) -> None:
    verdict = gate(make_run(10))
    assert unmet(verdict) == [("vlcache", "margin", "undecided")]
    assert verdict.outcome is Outcome.UNDECIDED
    needed = verdict.claims[0].needed
    assert str(needed) == "149 requests like these (149 sharing no media) would decide, if no score changes"
    assert gate(make_run(149)).outcome is Outcome.PASS
    assert gate(make_run(148)).outcome is Outcome.UNDECIDED


def test_what_is_needed_is_counted_in_requests_of_the_runs_own_kind(make_run: MakeRun, gate: Judge) -> None:
    records = [
        replace(record, cluster_id=f"album {int(record.request[1:]) // 4}", warmth=warmth)
        for record in make_run(80)
        for warmth in [Warmth.COLD if int(record.request[1:]) % 4 == 0 else Warmth.WARM]
    ]
    needed = gate(records).claims[0].needed
    assert needed is not None
    assert (needed.worth, needed.requests) == (149, 149 * 4)


def test_the_outlook_tells_with_what_a_fall_would_be_seen(make_run: MakeRun, gate: Judge) -> None:
    (outlook,) = gate(make_run(10)).outlooks
    assert outlook.passes is not None
    assert outlook.fails is not None
    fails = requests_to_decide(Decision.BEYOND, Truth.fallen(0.05, 0), MARGIN, ALPHA / 2)
    assert (outlook.passes.worth, outlook.fails.worth) == (149, fails)
    assert gate(make_run(outlook.fails.worth, lost=outlook.fails.worth // 20 + 1)).outcome is Outcome.FAIL


def test_what_is_undecided_with_many_asks_for_what_was_seen(make_run: MakeRun, gate: Judge) -> None:
    claim = only(gate(make_run(400, lost=10), requiring(margin=0.02)))
    assert claim.outcome is Outcome.UNDECIDED
    assert claim.needed is not None
    assert claim.needed.assuming == "if what was seen is the truth"
    assert claim.needed.worth > 400
    assert claim.chance_unchanged == pytest.approx(2 / 2**10)


def test_failed_requests_are_counted_and_are_wrong(make_run: MakeRun, gate: Judge) -> None:
    records = [
        replace(record, status=Status.ERROR, error="it broke", score=0.0, timing=None, cache=None, agrees=None)
        if record.runner == "vlcache" and record.request in ("q0", "q1")
        else record
        for record in make_run(400)
    ]
    verdict = gate(records)
    assert verdict.failed_requests == 2
    assert verdict.claims[0].value == pytest.approx(-2 / 400)
    assert verdict.line.endswith("; 2 requests failed")


@pytest.mark.parametrize(
    ("limits", "outcome", "found"),
    [
        ({"min_speedup": 2.9}, "pass", "3.00 [3.00, 3.00]"),
        ({"min_speedup": 3.1}, "fail", "3.00 [3.00, 3.00]"),
        ({"max_ttft_p99_ratio": 0.4}, "pass", "0.33 [0.33, 0.33]"),
        ({"max_ttft_p99_ratio": 0.3}, "fail", "0.33 [0.33, 0.33]"),
        ({"max_recompute_ratio": 0.05}, "pass", "5.0 %"),
        ({"max_recompute_ratio": 0.049}, "fail", "5.0 %"),
        ({"max_flops_ratio": 0.1}, "pass", "10.0 %"),
        ({"max_flops_ratio": 0.09}, "fail", "10.0 %"),
        ({"min_hit_rate": 1}, "pass", "100.0 %"),
        ({"min_kv_hit_rate": 1}, "pass", "100.0 %"),
        ({"max_flip_rate": 0.02}, "pass", "0.0 % [-0.7, 0.7]"),
        ({"margin": 0.005}, "undecided", "+0.0 points [-0.7, +0.7]"),
    ],
)
def test_every_requirement_is_met_or_not(
    make_run: MakeRun, gate: Judge, limits: dict[str, float], outcome: str, found: str
) -> None:
    claim = only(gate(make_run(400), requiring(**limits)))
    assert (claim.outcome, claim.measured) == (outcome, found)


def test_flips_are_judged_beyond_the_noise_floor(make_run: MakeRun, gate: Judge, manifest: dict[str, Any]) -> None:
    records = make_run(400, lost=40)
    noise = [
        replace(record, runner="noise", key=f"{record.key}-noise", agrees=int(record.request[1:]) >= 30)
        for record in records
        if record.runner == "full"
    ]
    floor = {"label": "noise", "method": "full", "lossless": True}
    runners = {"runners": [*manifest["runners"], floor]}
    alone = only(gate(records, requiring(max_flip_rate=0.05)))
    beside = only(gate(records + noise, requiring(max_flip_rate=0.05), runners))
    assert alone.value == pytest.approx(0.1)
    assert beside.value == pytest.approx(0.025)
    assert [alone.outcome, beside.outcome] == [Outcome.FAIL, Outcome.PASS]


@pytest.mark.parametrize("requests", [30, 298])
def test_too_few_requests_leave_the_99th_percentile_open(make_run: MakeRun, gate: Judge, requests: int) -> None:
    claim = only(gate(make_run(requests), requiring(max_ttft_p99_ratio=0.5)))
    assert claim.outcome is Outcome.UNDECIDED
    assert str(claim.needed) == "at least 299 requests like these (299 sharing no media) are needed"


def test_several_tests_share_the_chance_of_a_false_alarm(make_run: MakeRun, gate: Judge) -> None:
    records = make_run(400, lost=15)
    alone, among = gate(records, requiring(margin=0.02)), gate(records)
    assert only(alone).outcome is Outcome.FAIL
    assert among.tests == 2
    assert among.claims[0].outcome is Outcome.UNDECIDED
    assert among.claims[0].reason == (
        "below -2.0 points were it the only test, but not with all 2 tests of this gate allowed for"
    )


def test_a_clear_violation_makes_room_for_the_next(make_run: MakeRun, gate: Judge) -> None:
    """Holm's procedure: with one of two tests violated beyond doubt, the other is held to the whole alpha."""
    records = make_run(400, lost=15, slower=3.3)
    both = Policy("mine.yaml", runners=("vlcache",), rules=(Rule({"min_hit_rate": None, "min_kv_hit_rate": None}),))
    assert [claim.outcome for claim in gate(records, both).claims] == ["fail", "fail"]
    assert gate(make_run(400, lost=15), both).claims[0].outcome is Outcome.UNDECIDED


def test_no_gold_answers_leave_accuracy_open(make_run: MakeRun, gate: Judge) -> None:
    records = [replace(record, score=None) for record in make_run()]
    claim = only(gate(records, requiring(margin=0.02)))
    assert (claim.outcome, claim.value, claim.needed) == (Outcome.UNDECIDED, None, None)
    assert claim.reason == "no request has a gold answer: bound max_flip_rate instead, and set margin to null"


def test_random_weights_leave_accuracy_open(make_run: MakeRun, gate: Judge, manifest: dict[str, Any]) -> None:
    about = {"model": manifest["model"] | {"random_weights": True}}
    claim = only(gate(make_run(), requiring(margin=0.02), about))
    assert (claim.outcome, claim.reason) == (Outcome.UNDECIDED, "the weights are random: answers mean nothing")


def test_media_that_never_come_back_leave_reuse_open(make_run: MakeRun, gate: Judge) -> None:
    records = [replace(record, warmth=Warmth.COLD, recurring_media=0) for record in make_run()]
    verdict = gate(records)
    assert {claim.outcome for claim in verdict.claims if claim.requirement != "max_differences"} == {Outcome.UNDECIDED}
    assert verdict.claims[1].reason == "no request all of whose media were sent before was timed"
    assert verdict.claims[2].reason == "no request recurred, or nothing was counted"


def test_a_workload_without_records_is_open(make_run: MakeRun, gate: Judge) -> None:
    verdict = gate(make_run(), about={"workloads": {"binding": "abc", "video": "def"}})
    late = [claim for claim in verdict.claims if claim.workload == "video"]
    assert {(claim.outcome, claim.reason) for claim in late} == {
        (Outcome.UNDECIDED, "the run has no record of it yet: finish it with --resume")
    }
    assert len(late) == 6


def test_the_order_of_the_records_does_not_matter(make_run: MakeRun, gate: Judge) -> None:
    records = make_run(300, lost=9, gained=4)
    assert gate(records) == gate(records[::-1])


def test_rules_hold_for_those_they_name_and_later_ones_win(make_run: MakeRun, gate: Judge) -> None:
    rules = (
        Rule({"margin": 0.5, "min_hit_rate": None}),
        Rule({"margin": 0.4}, runner="vl*"),
        Rule({"margin": 0.3}, workload="video"),
    )
    claims = gate(make_run(), Policy("mine.yaml", rules=rules), {"workloads": {"binding": "a", "video": "b"}}).claims
    margins = {(claim.workload, claim.runner): claim.limit for claim in claims if claim.requirement == "margin"}
    assert margins == {
        ("binding", "vlcache"): 0.4,
        ("binding", "prefix-cache"): 0.5,
        ("video", "vlcache"): 0.3,
        ("video", "prefix-cache"): 0.3,
    }
    assert "min_hit_rate" not in {claim.requirement for claim in claims}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Policy("p.yaml", runners=("vlcach",)), "p.yaml: unknown runner 'vlcach': did you mean 'vlcache'?"),
        (Policy("p.yaml", rules=(Rule({"margin": 0.1}, runner="full"),)), "p.yaml: unknown runner 'full': "),
        (Policy("p.yaml", workloads=("vide*",)), "p.yaml: unknown workload 'vide*': known: binding"),
        (Policy("p.yaml", rules=(Rule({"max_slowdown": 0.1}),)), "p.yaml: max_slowdown compares with an earlier run: "),
        (requiring(), "there is nothing to judge"),
    ],
)
def test_policies_about_nothing_are_refused(make_run: MakeRun, gate: Judge, policy: Policy, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        gate(make_run(3), policy)
    assert str(caught.value).startswith(message)


def test_a_run_of_the_reference_alone_has_nothing_to_judge(make_run: MakeRun, gate: Judge, manifest: Any) -> None:
    with pytest.raises(UsageError, match="there is nothing to judge: the run needs a runner beside the reference"):
        gate(make_run(3), about={"runners": [manifest["runners"][1]]})


def test_what_is_for_analysis_only_is_not_judged(make_run: MakeRun, gate: Judge, manifest: dict[str, Any]) -> None:
    manifest["runners"][0]["analysis_only"] = True
    assert {claim.runner for claim in gate(make_run()).claims} == {"prefix-cache"}
