"""Judge the checks of a run: which requirements hold, which are violated, and which need more requests.

A gate makes several claims at once, and can err in two ways. It *fails* wrongly if any requirement that holds is called
violated: the chance of that, over all claims together, is at most alpha (Holm, Scandinavian Journal of Statistics 6,
1979: the clearest violation must be as clear as alpha / tests asks, the next as alpha / (tests - 1), and so on). It
*passes* wrongly if all are said to hold although one is violated: each is tested at alpha, and that is enough, as all
must hold (the intersection-union test; Berger, Technometrics 24, 1982).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from reports.gate.baseline import Baseline
from reports.gate.checks import Check, find_checks
from reports.gate.claim import Claim, GateResult, Outcome
from reports.gate.outlook import needed, outlooks
from reports.gate.policy import Policy
from reports.run.measurements import Measurements
from reports.summary.row import Row


def judge_run(
    run: Measurements, rows: Sequence[Row], policy: Policy, baseline: Baseline | None, margin: float, alpha: float
) -> GateResult:
    """Judge a run.

    Args:
        run: its records in any order.
        rows: its summary.
        policy: what is required. Without one, but with a baseline, only changes since then are judged.
        baseline: an earlier run, already known to be comparable.
        margin: a loss of accuracy that is too much, where the policy names none.
        alpha: the chance of either error, see above, where the policy names none.

    Raises:
        UsageError: there is nothing to judge, or the policy names what the run does not have.
    """
    level = alpha if policy.alpha is None else policy.alpha
    checks = find_checks(run, rows, policy, baseline, margin)
    tests = sum(check.tested for check in checks)
    violated = _violated(checks, level)
    pairs = {(check.workload, check.runner) for check in checks}
    concerned = pairs | {(workload, run.manifest.reference) for workload, _ in pairs}
    return GateResult(
        claims=[_claim(check, index in violated, level, tests) for index, check in enumerate(checks)],
        alpha=level,
        tests=tests,
        failed_requests=sum(row.failed for row in rows if (row.workload, row.runner) in concerned),
        outlooks=outlooks(checks, level, tests),
        baseline=None if baseline is None else baseline.origin,
    )


def _violated(checks: Sequence[Check], alpha: float) -> set[int]:
    """Places of the violated ones: counts as they are, estimates by Holm's procedure."""
    violated = {index for index, check in enumerate(checks) if not check.tested and check.violated(alpha)}
    left = [index for index, check in enumerate(checks) if check.tested]
    while left:
        clear = [index for index in left if checks[index].violated(alpha / len(left))]
        if not clear:
            break
        violated.update(clear)
        left = [index for index in left if index not in clear]
    return violated


def _claim(check: Check, violated: bool, alpha: float, tests: int) -> Claim:
    ends, value = check.ends(alpha), check.evidence.value
    outcome = Outcome.FAIL if violated else Outcome.PASS if check.holds(alpha) else Outcome.UNDECIDED
    return Claim(
        workload=check.workload,
        runner=check.runner,
        requirement=check.requirement.key,
        limit=check.limit,
        bound=check.bound,
        outcome=outcome,
        value=value,
        low=ends.low if isfinite(ends.low) else None,
        high=ends.high if isfinite(ends.high) else None,
        chance_unchanged=check.evidence.chance,
        requests=check.requests,
        worth=check.worth(alpha),
        reason=_reason(check, outcome, alpha, tests),
        needed=needed(check, alpha, tests) if outcome is Outcome.UNDECIDED else None,
    )


def _reason(check: Check, outcome: Outcome, alpha: float, tests: int) -> str:
    """Why the outcome is what it is; the numbers stand beside it."""
    if check.evidence.value is None:
        return check.evidence.why
    wrong, right = ("below", "above") if check.requirement.side == "least" else ("above", "below")
    bound = check.requirement.show(check.bound)
    if not check.tested:
        sentence = f"{wrong} {bound}" if outcome is Outcome.FAIL else f"not {wrong} {bound}"
    elif outcome is Outcome.FAIL:
        sentence = f"the truth lies {wrong} {bound}, with all {tests} tests of this gate allowed for"
    elif outcome is Outcome.PASS:
        sentence = f"the truth lies {right} {bound}"
    elif check.violated(alpha):
        sentence = f"{wrong} {bound} were it the only test, but not with all {tests} tests of this gate allowed for"
    else:
        sentence = f"the truth may lie on either side of {bound}"
    return "; ".join(filter(None, (sentence, check.evidence.why)))
