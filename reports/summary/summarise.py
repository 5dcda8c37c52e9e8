"""Records to the summary: one row per workload and runner, every field of ``row.Row``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from reports.run.descriptions import Ceilings
from reports.run.frame import without_times
from reports.run.manifest import Manifest
from reports.run.measurements import Measurements
from reports.statistics.intervals import mean_interval, median_interval, percentile
from reports.statistics.levels import ONE_LOOK
from reports.statistics.pairing import Paired, defined
from reports.statistics.strata import stratified_percentile
from reports.summary.floor import floor_ms
from reports.summary.load import client_bound, load_values
from reports.summary.proof import PROOF, pooled_loss, proof_values
from reports.summary.repair import repair_values
from reports.summary.row import Row
from reports.summary.served import served_values
from runners.records import Warmth

RANDOM = "random"
KINDS = ("media", "kv", "encoder")  # of hits
# what answers are worth; their intervals and changes need scores, and of random weights there are none
SPEEDS = (
    "ttft_speedup",
    "ttft_speedup_ci_low",
    "ttft_speedup_ci_high",
    "ttft_speedup_all",
    "ttft_speedup_total",
    "ttft_speedup_vs_lossless",
)
"""What compares times; nothing is said of it where the client was what was measured."""
WORTH = ("accuracy", "agreement", "flip_rate", "kl_mean", *PROOF)

Values = dict[str, Any]
"""By the columns of ``Row``."""


def summarise(run: Measurements, margin: float, alpha: float) -> list[Row]:
    """Rows by workload, within it the reference first and then the runners as they were given.

    Runners for analysis only have no times and no verdict. ``margin``: see ``proof.proof_values``. ``alpha``: every
    interval has the confidence 1 - ``alpha``. An undefined value is None. Workloads without any record yet have no
    rows.
    """
    manifest = run.manifest
    frame = without_times(run.frame, manifest.analysis_only)
    lossless = [runner.label for runner in manifest.runners if runner.lossless]
    bound = client_bound(run)
    rows, pairs = [], []
    for workload in manifest.workloads:
        records = frame[frame["workload"] == workload]
        if records.empty:
            continue
        shares = manifest.alpha_shares(workload)
        paired = Paired.of(records, manifest.reference, lossless, manifest.sequential, shares)
        pairs.append(paired)
        alike = records[_first_requests(records, manifest, workload)]
        paired_alike = Paired.of(alike, manifest.reference, lossless)
        noise = records[records["runner"].isin(manifest.noise_arms)]
        for label in sorted(manifest.labels, key=lambda label: label != manifest.reference):
            mine = records[records["runner"] == label]
            if len(mine):
                is_bound = (workload, label) in bound
                values = _of_any_request(alike[alike["runner"] == label], label, paired_alike)
                row = _row(values, mine, paired, manifest, margin, alpha, noise=noise, is_bound=is_bound)
                rows.append(row)
    pooled = {label: pooled_loss(pairs, label, alpha) for label in {row.runner for row in rows if _is_open(row)}}
    return [replace(row, pooled_loss_at_most=pooled[row.runner]) if _is_open(row) else row for row in rows]


def _first_requests(records: pd.DataFrame, manifest: Manifest, workload: str) -> pd.Series[bool]:
    """Which records are of requests that every runner was asked: all but those that follow up."""
    follow_up = manifest.follow_up
    if workload not in follow_up.requests or follow_up.begins is None:
        return pd.Series(True, index=records.index)
    return ~records["request"].str.startswith(follow_up.begins)


def _is_open(row: Row) -> bool:
    """Whether the loss of a runner is a statistical question."""
    return row.verdict in ("non-inferior", "inferior", "undecided")


def _row(
    mixed: Values,
    mine: pd.DataFrame,
    paired: Paired,
    manifest: Manifest,
    margin: float,
    alpha: float,
    *,
    noise: pd.DataFrame,
    is_bound: bool,
) -> Row:
    """One row; ``mixed``: see ``_of_any_request``. ``is_bound``: whether the client was the bottleneck."""
    label: str = mine["runner"].iloc[0]
    values: Values = {
        "runner": label,
        "workload": mine["workload"].iloc[0],
        "model": manifest.model_of(label).name,
        "device": manifest.model_of(label).device,
        "dtype": manifest.model_of(label).dtype,
        "weights": RANDOM if manifest.model.random_weights else "loaded",
        "requests": len(mine),
        "failed": int((~mine["ok"]).sum()),
        "margin": margin,
        "alpha": alpha,
        "noise_flip_rate": _flip_rate(noise),
    }
    values |= mixed | _answers(mine, label, paired, alpha) | _times(mine, label, paired, alpha) | _reuse(mine)
    values |= served_values(mine) | load_values(mine, manifest.slo, alpha)
    values |= proof_values(mine, noise, paired, manifest, margin, alpha) | _gains(label, paired, manifest)
    promised, threshold = manifest.promised_risk(label), manifest.risk_threshold(label)
    calibration = manifest.calibration(label)
    calibrated_on = None if calibration is None else calibration.description
    values |= repair_values(mine, promised, threshold, calibrated_on, alpha, paired.shares.get(label, ONE_LOOK))
    values |= {"floor_ratio": _floor_ratio(mine, manifest.model.ceilings)}
    if values["weights"] == RANDOM:
        values |= dict.fromkeys(WORTH)
    if is_bound:
        values |= dict.fromkeys((*PROOF, *SPEEDS))
    return Row.measured(values)


def _answers(mine: pd.DataFrame, label: str, paired: Paired, alpha: float) -> Values:
    """What the answers are worth. The reference is not estimated against itself: no interval there."""
    delta = paired.score_delta(label)
    scored = mine[mine["score"].notna()]
    ends = mean_interval(scored["score"], scored["cluster_id"].tolist(), alpha)
    changes = paired.changes(delta, label)
    change = changes.interval(alpha) if label != paired.reference else None
    return {
        "compared": changes.requests,
        "compared_worth": changes.worth(alpha) or None,
        "scored": len(scored),
        "parse_failed": int(scored["parse_failed"].sum()) if len(scored) else None,
        "official_accuracy": _official(scored),
        "accuracy": _mean(mine["score"]),
        "accuracy_ci_low": ends.low if ends else None,
        "accuracy_ci_high": ends.high if ends else None,
        "accuracy_delta": _mean(delta),
        "accuracy_delta_ci_low": change.low if change else None,
        "accuracy_delta_ci_high": change.high if change else None,
        "agreement": _mean(paired.agreement(mine)),
        "flip_rate": _flip_rate(mine),
        "kl_mean": _mean(mine["kl"]),
        "content_share": _mean(mine["content_share"]),
    }


def _flip_rate(mine: pd.DataFrame) -> float | None:
    agreement = _mean(mine["agrees"])
    return None if agreement is None else 1 - agreement


def _official(scored: pd.DataFrame) -> float | None:
    """Accuracy by the official scorer; None where none differs from the metric."""
    known = scored["official_score"].notna()
    return _mean(scored["official_score"].where(scored["ok"], 0.0)) if known.any() else None


def _times(mine: pd.DataFrame, label: str, paired: Paired, alpha: float) -> Values:
    """Time to first token against the reference, request by request, of cold and of warm ones."""
    warm = paired.ratios(paired.reference, label, Warmth.WARM)
    ends = median_interval(warm, paired.clusters(warm), alpha) if label != paired.reference else None
    best = paired.best_lossless
    return {
        "ttft_speedup": _median(warm),
        "ttft_speedup_ci_low": ends.low if ends else None,
        "ttft_speedup_ci_high": ends.high if ends else None,
        "ttft_host_speedup": _median(_tier_speedups(mine, paired, "host")),
        "ttft_host_ms_p50": percentile(mine["host_ttft_ms"].dropna(), 50),
        "ttft_disk_speedup": _median(_tier_speedups(mine, paired, "disk")),
        "ttft_disk_ms_p50": percentile(mine["disk_ttft_ms"].dropna(), 50),
        "ttft_speedup_vs_lossless": _median(paired.ratios(best, label, Warmth.WARM)) if best else None,
        "best_lossless": best,
        "cold_ttft_ratio": _median(paired.ratios(label, paired.reference, Warmth.COLD)),
        "break_even_reuses": _break_even(label, paired),
        "warmup_ms": float(mine["warmup_ms"].sum()),
        "capture_ms": float(mine["capture_ms"].sum()),
    }


def _of_any_request(mine: pd.DataFrame, label: str, paired: Paired) -> Values:
    """Times, hits and bytes of requests of any warmth, which all runners have to share for that.

    Times are weighed by warmth, because cold requests may be adopted and are then not timed.
    """
    answered, measured = mine[mine["ok"]], mine[mine["media"].notna()]
    ttft, warmths = answered["ttft_ms"], answered["warmth"].tolist()
    return {
        "vision_tokens": _mean(measured["vision_tokens"]),
        "kv_bytes_per_token": _mean(measured["kv_bytes_per_token"]),
        **{f"{kind}_hit_rate": _share(measured[f"{kind}_hits"], measured["media"]) for kind in KINDS},
        "ttft_ms_p50": stratified_percentile(ttft, warmths, 50),
        "ttft_ms_p90": stratified_percentile(ttft, warmths, 90),
        "ttft_ms_p99": stratified_percentile(ttft, warmths, 99),
        "ttft_speedup_all": _speedup_of_all(label, paired),
        "ttft_speedup_total": _speedup_in_total(label, paired),
        "store_ms_p50": stratified_percentile(answered["store_ms"], warmths, 50),
    }


def _speedup_of_all(label: str, paired: Paired) -> float | None:
    """Median of TTFT of the reference / TTFT over all requests that both answered."""
    mine, base = (paired.answered.reindex(columns=[name])[name] for name in (label, paired.reference))
    answered = mine.eq(True) & base.eq(True)
    ratios = paired.ratios(paired.reference, label).reindex(answered.index[answered])
    return stratified_percentile(ratios, paired.warmth.loc[ratios.index].tolist(), 50)


def _speedup_in_total(label: str, paired: Paired) -> float | None:
    """TTFT of the reference / TTFT, each summed over all requests that both answered and both were timed in."""
    times = pd.DataFrame({"base": paired.times(paired.reference), "own": paired.times(label)}).dropna()
    return _share(times["base"], times["own"])


def _rest(share: float | None) -> float | None:
    """What is left of the whole."""
    return None if share is None else 1 - share


def _tier_speedups(mine: pd.DataFrame, paired: Paired, tier: str) -> pd.Series[float]:
    """TTFT of the reference / TTFT with all that is reused coming from a tier, for each warm request."""
    warm = mine[mine["warmth"] == Warmth.WARM.value].set_index("request")
    return defined(paired.times(paired.reference) / warm[f"{tier}_ttft_ms"])


def _gains(label: str, paired: Paired, manifest: Manifest) -> Values:
    """What skipping the encoder gives, and what reusing keys and values gives besides, on the same warm requests.

    Known where the reference reuses nothing, the runner reuses something, and a runner that reuses encoder output alone
    answered the same requests.
    """
    unknown: Values = {"encoder_gain": None, "kv_gain": None}
    encoder = manifest.encoder_cache
    if encoder is None or manifest.reuses(paired.reference) or not manifest.reuses(label):
        return unknown
    skipped = paired.ratios(paired.reference, encoder, Warmth.WARM)
    reused = paired.ratios(encoder, label, Warmth.WARM)
    both = skipped.index.intersection(reused.index)
    return {"encoder_gain": _median(skipped[both]), "kv_gain": _median(reused[both])}


def _break_even(label: str, paired: Paired) -> float | None:
    """Reuses after which storing has paid; None when it costs nothing or never pays."""
    cost = _median(paired.differences(label, paired.reference, Warmth.COLD))
    saving = _median(paired.differences(paired.reference, label, Warmth.WARM))
    if cost is None or saving is None or cost <= 0 or saving <= 0:
        return None
    return cost / saving


def _reuse(mine: pd.DataFrame) -> Values:
    """What was computed and came from the stores where media came back; ratios are ratios of sums over requests."""
    measured = mine[mine["media"].notna()]
    warm = measured[measured["warmth"] == Warmth.WARM.value]
    values: Values = {
        "recompute_ratio": _share(warm["computed_token_layers"], warm["vision_tokens"] * warm["layers"]),
        "reuse_predicted": _rest(_share(warm["planned_token_layers"], warm["vision_tokens"] * warm["layers"])),
        "reuse_achieved": _rest(_share(warm["computed_token_layers"], warm["vision_tokens"] * warm["layers"])),
        "executed_flops_ratio": _share(warm["flops"], warm["full_flops"]),
        "fallbacks": int(measured["fallbacks"].sum()),
        "peak_memory_mb": None if measured["peak_bytes"].isna().all() else float(measured["peak_bytes"].max() / 1e6),
    }
    for kind in KINDS:
        hits, recurring = measured[f"{kind}_hits"], measured["recurring_media"]
        values[f"{kind}_hit_rate_recurring"] = _share(hits.clip(upper=recurring), recurring)
    return values


def _floor_ratio(mine: pd.DataFrame, ceilings: Ceilings | None) -> float | None:
    """Median of TTFT / floor over warm requests; None where the device's ceilings, or the work, are not known."""
    warm = mine[mine["warmth"] == Warmth.WARM.value]
    return _median(defined(warm["ttft_ms"] / floor_ms(warm, ceilings))) if ceilings is not None else None


def _mean(values: pd.Series[float]) -> float | None:
    known = values.dropna()
    return float(known.mean()) if len(known) else None


def _median(values: pd.Series[float]) -> float | None:
    return percentile(values, 50)


def _share(part: pd.Series[float], whole: pd.Series[float]) -> float | None:
    return float(part.sum() / whole.sum()) if whole.sum() > 0 else None
