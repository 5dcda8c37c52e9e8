"""Calibration: what a threshold promises is kept by fresh requests, and too few requests promise nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.risk.bounds import CONFIDENCE, FOR_SURE, changed_bound, changed_for_sure, changes_allowed
from runners.risk.calibrate import FIT, calibrate
from runners.risk.model import DEFAULT_RANKING, EVERYTHING, RANKINGS, Ranking, RiskModel
from runners.risk.outcomes import RIGHT, CalibrationRequest, Outcome
from runners.risk.setting import MARGINS
from runners.risk.trials import estimate_all, try_thresholds

NAMES = ("drift", "noise")
SURE = 9.0  # a logit margin


def outcomes(changed: dict[float, bool], margin: float = SURE) -> dict[Ranking, dict[float, Outcome]]:
    """What each level does to an answer whose tokens are all given with one margin, by the one ranking tried."""
    return {DEFAULT_RANKING: {share: Outcome(change, margin) for share, change in changed.items()}}


def stream(rng: np.random.Generator, cases: int, per_case: int = 2, shift: float = 0.0) -> list[CalibrationRequest]:
    """Requests whose first signal tells how likely reuse changes the answer; a fifth of the tokens repairs all but few.

    Args:
        shift: added to the log odds of a change, without any sign of it in the signals.
    """
    requests = []
    for case in range(cases):
        for _ in range(per_case):
            drift, noise = rng.normal(0, 3), rng.normal()
            risk = 1 / (1 + np.exp(-(2 * drift - 3 + shift)))
            harmed = bool(rng.random() < risk)
            changed = {0.0: harmed, 0.2: harmed and bool(rng.random() < 0.02)}
            requests.append(CalibrationRequest("some", f"case-{case}", (drift, noise), outcomes(changed)))
    return requests


def changed_by(model: RiskModel, risk: float, requests: list[CalibrationRequest]) -> float:
    """Share of answers that change where the model decides."""
    chosen = [r.outcomes[model.ranking].get(model.choose(r.signals, risk).share, RIGHT) for r in requests]
    return float(np.mean([found.changed and not found.in_doubt(model.least_margin) for found in chosen]))


def test_promises_are_kept_by_fresh_requests_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    fresh = stream(rng, 4000, 1)
    broken = sum(changed_by(calibrate(NAMES, "template", stream(rng, 300)), 0.05, fresh) > 0.05 for _ in range(40))
    assert broken <= 6, "40 calibrations at 95 % confidence: more than 6 broken has a probability below 0.4 %"


def test_a_calibrated_model_keeps_what_is_harmless_and_repairs_what_is_not() -> None:
    rng = np.random.default_rng(6)
    model = calibrate(NAMES, "template", stream(rng, 600))
    promise = model.promise(0.05)
    assert promise is not None
    assert 0 < promise.computed < 0.2
    assert promise.bound <= 0.05
    assert model.choose((-4.0, 0.0), 0.05).share == 0
    assert model.choose((4.0, 0.0), 0.05).share > 0


def test_thresholds_are_tested_without_what_is_never_kept_behind_new_media() -> None:
    rng = np.random.default_rng(6)
    harmed_where_kept = [
        replace(r, behind_new_media=True, outcomes=outcomes({0.0: True, 0.2: False})) for r in stream(rng, 600)
    ]
    model = calibrate(NAMES, "template", harmed_where_kept)
    promise = model.promise(0.05)
    assert promise is not None
    assert promise.changed == 0, "nothing is kept behind new media, so nothing of it is counted"
    assert promise.computed >= 0.2


def test_no_kind_of_request_pays_for_the_others() -> None:
    """One in twenty is of a kind of which one in four changes, repaired or not: a percent of all."""
    rng = np.random.default_rng(11)
    requests = [
        CalibrationRequest("some", f"case-{case}", (rng.normal(), rng.normal()), outcomes({0.0: hurt, 0.2: hurt}))
        for case in range(1200)
        for hurt in [case % 80 == 1]
    ]
    apart = [replace(request, behind_new_media=case % 20 == 1) for case, request in enumerate(requests)]
    together, told = (calibrate(NAMES, "template", given).promise(0.05) for given in (requests, apart))
    assert together is not None
    assert told is not None
    assert together.computed < 0.1, "they are few among all"
    assert told.computed > 0.5, "of their own kind they are too many wherever they are kept"


@pytest.mark.parametrize(("spread", "risk"), [(3.0, 0.1), (3.0, 0.05), (6.0, 0.05), (1.0, 0.1)])
def test_caution_leaves_most_of_what_a_promise_lets_save(spread: float, risk: float) -> None:
    rng = np.random.default_rng(19)
    requests = [
        CalibrationRequest("some", f"case-{case}", (signal, rng.normal()), outcomes({0.0: bool(rng.random() < harm)}))
        for case in range(1500)
        for signal in [rng.normal(0, spread)]
        for harm in [1 / (1 + np.exp(3 - signal))]
    ]
    model = calibrate(NAMES, "template", requests)
    tested = [request for case, request in enumerate(requests) if case % FIT]
    trials = try_thresholds(estimate_all(model, tested), model, tested)
    least = list(takewhile(lambda trial: max(trial.bound, trial.worst) <= risk, trials))[-1].computed
    promise = model.promise(risk)
    assert promise is not None
    assert least < 1
    assert least <= promise.computed <= 1.5 * least
    assert 1 - promise.computed >= 0.9 * (1 - least)


def with_family(requests: int, hurt: int, others: int = 600) -> list[CalibrationRequest]:
    """A calibration that tests so many requests of a family, of which some change, repaired or not, beside others."""
    rng = np.random.default_rng(18)
    tested = [("hard", case < hurt) for case in range(requests)] + [("easy", False)] * others
    rows = [row for place, row in enumerate(tested) for row in ([("easy", False)] if place % 2 == 0 else []) + [row]]
    return [
        CalibrationRequest(family, f"case-{case}", (rng.normal(), rng.normal()), outcomes({0.0: hurts, 0.2: hurts}))
        for case, (family, hurts) in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("requests", "hurt", "is_kept"),
    [(49, 2, True), (50, 1, True), (50, 2, False), (99, 2, False), (100, 2, True), (149, 3, False), (150, 3, True)],
)
def test_no_family_hides_behind_the_others_that_has_requests_enough_to_tell(
    requests: int, hurt: int, is_kept: bool
) -> None:
    """One changed answer tells nothing, and a family of fewer than 50 is not asked; 600 others do not change."""
    model = calibrate(NAMES, "template", with_family(requests, hurt))
    assert model.requests == requests + 600
    promise = model.promise(0.02)
    assert promise is not None
    assert (promise.computed < 0.1) == is_kept


@settings(deadline=None, max_examples=20)
@given(requests=st.integers(40, 200), hurt=st.integers(0, 6))
def test_a_larger_risk_never_takes_more(requests: int, hurt: int) -> None:
    promises = calibrate(NAMES, "template", with_family(requests, hurt)).promises
    thresholds = [promise.threshold for promise in promises]
    assert thresholds == sorted(thresholds)


def test_one_changed_answer_of_a_rare_kind_proves_nothing() -> None:
    """One request in a hundred is of a kind of its own, and one of these changes, whatever is repaired."""
    rng = np.random.default_rng(16)
    requests = [
        replace(
            CalibrationRequest("some", f"case-{case}", (rng.normal(), rng.normal()), outcomes({0.0: hurt, 0.2: hurt})),
            behind_new_media=case % 100 == 1,
        )
        for case in range(1200)
        for hurt in [case == 601]
    ]
    promise = calibrate(NAMES, "template", requests).promise(0.02)
    assert promise is not None
    assert promise.computed < 0.1
    assert promise.changed == 1


def test_where_no_setting_keeps_anything_the_most_cautious_is_taken() -> None:
    rng = np.random.default_rng(17)
    hopeless = [
        CalibrationRequest("some", f"case-{case}", (rng.normal(), rng.normal()), dict.fromkeys(RANKINGS, levels))
        for case in range(300)
        for levels in [{0.0: Outcome(changed=True, margin=SURE)}]
    ]
    model = calibrate(NAMES, "template", hopeless)
    assert ([level.share for level in model.levels], model.least_margin) == ([0.0], max(MARGINS))
    assert all(promise.computed == 1 for promise in model.promises)


def test_what_no_signal_tells_is_caught_where_the_answer_is_in_doubt() -> None:
    """One in eleven changes without a sign in its signals, at a margin that one in eight of the others has, too."""
    rng = np.random.default_rng(12)
    requests = [
        CalibrationRequest("some", f"case-{case}", (rng.normal(), rng.normal()), outcomes({0.0: hurt}, margin))
        for case in range(900)
        for hurt in [case % 11 == 0]
        for margin in [0.3 if hurt or case % 8 == 0 else SURE]
    ]
    promise = calibrate(NAMES, "template", requests).promise(0.02)
    changed = [request.outcomes[DEFAULT_RANKING][0.0].changed for request in requests]
    blind = [replace(r, outcomes=outcomes({0.0: hurt})) for r, hurt in zip(requests, changed, strict=True)]
    unseen = calibrate(NAMES, "template", blind).promise(0.02)
    assert promise is not None
    assert unseen is not None
    assert promise.changed == 0
    assert promise.computed == pytest.approx(1 / 11 + 1 / 8 - 1 / 88, abs=0.03), "those in doubt, and no others"
    assert unseen.computed > 0.5, "without a margin little can be kept"


def test_of_margins_that_cost_the_same_the_largest_is_taken() -> None:
    requests = stream(np.random.default_rng(13), 300)
    sure = calibrate(NAMES, "template", requests)
    assert sure.least_margin == max(MARGINS) < SURE, "no answer has a smaller margin, so watching costs nothing"
    doubtful = [replace(request, outcomes=outcomes({0.0: False, 0.2: False}, 0.7)) for request in requests]
    assert calibrate(NAMES, "template", doubtful).least_margin == 0.5, "more would doubt every answer"


@pytest.mark.parametrize(
    ("written", "drift", "ranking"),
    [(0.05, 0.3, "written"), (0.3, 0.05, "written+drift"), (0.05, 0.05, "written+drift"), (0.0, 0.0, "written+drift")],
)
def test_drift_is_not_probed_where_it_does_harm(written: float, drift: float, ranking: Ranking) -> None:
    """Shares of the answers that stay changed by either ranking: without a difference the default is taken."""
    rng = np.random.default_rng(15)

    def repaired(harmed: bool, share: float) -> dict[float, Outcome]:
        return outcomes({0.0: harmed, 0.2: harmed and bool(rng.random() < share)})[DEFAULT_RANKING]

    requests = [
        replace(request, outcomes={"written": repaired(harmed, written), "written+drift": repaired(harmed, drift)})
        for request in stream(rng, 450)
        for harmed in [request.outcomes[DEFAULT_RANKING][0.0].changed]
    ]
    assert calibrate(NAMES, "template", requests).ranking == ranking


def test_a_margin_is_not_chosen_by_what_many_signals_explain_of_few_requests() -> None:
    """A sixth changes without a sign in any of 30 signals, which tell the 60 requests of the fit apart nevertheless."""
    rng = np.random.default_rng(14)
    requests = [
        CalibrationRequest("some", f"case-{case}", tuple(rng.normal(size=30)), outcomes({0.0: hurt}, margin))
        for case in range(180)
        for hurt in [case % 18 < 3]
        for margin in [0.8 if hurt or case % 4 == 1 else SURE]
    ]
    model = calibrate([f"noise.{place}" for place in range(30)], "template", requests)
    assert model.least_margin == max(MARGINS)
    promise = model.promise(0.05)
    assert promise is not None
    assert promise.changed == 0
    assert promise.computed == pytest.approx(3 / 18 + 1 / 4 - 1 / 24, abs=0.03), "those in doubt, and no others"


@settings(deadline=None, max_examples=15)
@given(cases=st.integers(2, 70), seed=st.integers(0, 99))
def test_too_few_requests_promise_nothing_firm(cases: int, seed: int) -> None:
    model = calibrate(NAMES, "template", stream(np.random.default_rng(seed), cases))
    promise = model.promise(0.05)
    assert promise is not None
    assert promise.threshold == 0 or changed_bound(promise.changed, model.requests) <= 0.05
    if model.requests < 59:
        assert promise.threshold == 0, "59 requests without a change are the fewest that bound it by 5 %"
        assert model.choose((-9.0, 0.0), 0.05).share == EVERYTHING


def test_a_kind_of_damage_that_shows_in_no_signal_breaks_the_promise() -> None:
    rng = np.random.default_rng(7)
    model = calibrate(NAMES, "template", stream(rng, 600))
    assert changed_by(model, 0.05, stream(rng, 2000, 1, shift=5.0)) > 0.05, "a promise is for requests like these alone"


def test_signals_beyond_the_calibration_are_unlike_it() -> None:
    model = calibrate(NAMES, "template", stream(np.random.default_rng(8), 200))
    far = model.choose((100.0, 0.0), 0.05)
    assert far.unlike
    assert far.share == EVERYTHING


def test_one_level_without_any_change_is_never_certain() -> None:
    rng = np.random.default_rng(9)
    harmless = [
        CalibrationRequest("some", f"case-{case}", (rng.normal(), rng.normal()), outcomes({0.0: False}))
        for case in range(30)
    ]
    model = calibrate(NAMES, "template", harmless)
    assert 0 < model.estimate(model.levels[0], (0.0, 0.0)) < 0.2


def test_one_case_cannot_be_split() -> None:
    request: Any = CalibrationRequest("some", "only", (0.0, 0.0), outcomes({0.0: False}))
    with pytest.raises(ValueError, match="two cases at least"):
        calibrate(NAMES, "template", [request])


@pytest.mark.parametrize(("changed", "requests"), [(0, 149), (1, 236), (4, 500), (3, 3)])
def test_the_bound_is_that_of_the_binomial(changed: int, requests: int) -> None:
    from scipy.stats import binom

    bound = changed_bound(changed, requests)
    if changed == requests:
        assert bound == 1
    else:
        assert binom.cdf(changed, requests, bound) == pytest.approx(1 - CONFIDENCE, abs=1e-9)
    assert bound >= changed / requests


@given(requests=st.integers(1, 600), risk=st.sampled_from([0.01, 0.02, 0.1]))
def test_as_many_may_change_as_keep_the_risk(requests: int, risk: float) -> None:
    most = changes_allowed(requests, risk)
    assert changed_bound(most + 1, requests) > risk
    assert most == 0 or changed_bound(most, requests) <= risk


@pytest.mark.parametrize(("changed", "requests"), [(0, 10), (1, 2), (3, 30), (5, 5)])
def test_what_changes_for_sure_is_the_bound_of_the_binomial(changed: int, requests: int) -> None:
    from scipy.stats import binom

    share = changed_for_sure(changed, requests)
    assert share <= changed / requests
    if changed:
        assert binom.sf(changed - 1, requests, share) == pytest.approx(1 - FOR_SURE, abs=1e-9)
