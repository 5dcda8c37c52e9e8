"""One row of the summary: a runner on a workload. Its fields are the declaration of the summary's columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from reports.summary.column import column, columns_of, end, same_at
from workloads.reading import keys


@keys("ignore")
@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one runner on one workload; what a field means and how it is displayed stands with it.

    None stands for undefined, and is what a summary lacks that another version wrote.
    """

    runner: str = column("what answered; * marks the reference", required=True, title="runner", in_table=True)
    workload: str = column("what was asked", required=True, title="workload")
    model: str = column("the model", required=True)
    device: str = column("where it ran", required=True)
    dtype: str = column("number format of its weights", required=True)
    weights: str | None = column(
        "loaded, or random in a published shape: then answers mean nothing, and are not judged"
    )
    requests: int = column("turns asked, failed ones included", unit="count", required=True)
    compared: int | None = column(
        "turns with a medium sent before: where answers are compared with the reference's", unit="count"
    )
    compared_worth: float | None = column(
        "separate turns that they are worth at least, given which share media", unit="count", spec=".0f"
    )
    failed: int = column(
        "turns without an answer: they count as wrong and have no time", unit="count", required=True, better="lower"
    )
    scored: int | None = column(
        "turns with a gold answer: accuracy is theirs; of the others agreement tells", unit="count"
    )
    parse_failed: int | None = column(
        "answers that the metric could not read: they count as wrong", unit="count", better="lower"
    )
    official_accuracy: float | None = column(
        "mean score by the official scorer where that differs in kind, by guessing say; failed turns count as wrong",
        unit="0..1",
        better="higher",
        scale=100,
        spec=".1f",
    )
    accuracy: float | None = column(
        "mean score by the workload's metric, where there is a gold answer [interval]",
        unit="0..1",
        title="accuracy\n%",
        better="higher",
        scale=100,
        spec=".1f",
        interval_spec=".0f",
        in_table=True,
    )
    accuracy_ci_low: float | None = end()
    accuracy_ci_high: float | None = end()
    accuracy_delta: float | None = column(
        "accuracy less the reference's, where a medium was sent before [interval]",
        unit="0..1",
        title="change\npoints",
        better="higher",
        scale=100,
        spec="+.1f",
        interval_spec=".1f",
        in_table=True,
    )
    accuracy_delta_ci_low: float | None = end()
    accuracy_delta_ci_high: float | None = end()
    agreement: float | None = column(
        "share of requests whose whole answer equals the reference's: what counts without gold answers",
        unit="0..1",
        title="same\n%",
        better="higher",
        scale=100,
        spec=".0f",
        in_table=True,
    )
    flip_rate: float | None = column(
        "share of answers that differ from the reference's", unit="0..1", better="lower", scale=100, spec=".1f"
    )
    noise_flip_rate: float | None = column(
        "the same of the runner that does what the reference does in another order: what rounding alone changes",
        unit="0..1",
        scale=100,
        spec=".1f",
    )
    verdict: str | None = column(
        "exact or broken if lossless; else non-inferior: a loss below the margin is proven; inferior: one above it",
        title="ver-\ndict",
        in_table=True,
        words=(
            ("non-inferior", "ok"),
            ("inferior", "worse"),
            ("undecided", "open"),
        ),
    )
    loss_at_most: float | None = column(
        "the largest loss of accuracy that the evidence leaves possible, one-sided at alpha; 0 of exact runners",
        unit="0..1",
        better="lower",
        scale=100,
        spec=".1f",
    )
    loss_at_least: float | None = column(
        "the smallest loss that the evidence leaves possible, one-sided at alpha; 0 where there may be none",
        unit="0..1",
        better="lower",
        scale=100,
        spec=".1f",
    )
    pooled_loss_at_most: float | None = column(
        "the largest loss that is possible over the requests of all workloads of the run together, likewise",
        unit="0..1",
        better="lower",
        scale=100,
        spec=".1f",
    )
    needed_separate: int | None = column(
        "turns that share no media with which the verdict would be decided, if what was seen is the truth; none where "
        "it is, or no number would do",
        unit="count",
    )
    needed_requests: int | None = column(
        "as many turns like these; none where more of them bring hardly any new media, too", unit="count"
    )
    decided_requests: int | None = column(
        "turns after which a run until decided knew the verdict", unit="count", better="lower"
    )
    decided_s: float | None = column(
        "seconds after which it did, all runners of the workload together", unit="s", better="lower", spec=".0f"
    )
    differences: int | None = column(
        "answers of a lossless runner that differ from the reference's and that rounding does not explain",
        unit="count",
        better="lower",
    )
    first_difference: str | None = column("the first request with such an answer")
    margin: float = column("the loss of accuracy that the verdict is about", unit="0..1", required=True)
    alpha: float = column("every interval has the confidence 1 - alpha", unit="0..1", required=True)
    kl_mean: float | None = column(
        "mean divergence of the first token, KL(reference || runner)",
        unit="nats",
        title="KL\nnats",
        better="lower",
        spec=".1e",
        in_table=True,
    )
    kl_unseen_mass: float | None = column(
        "mean probability of first tokens that servers did not both tell of: the divergence is then a lower bound",
        unit="0..1",
        better="lower",
        scale=100,
        spec=".2f",
    )
    ttft_ms_p50: float | None = column(
        "median time to first token of all answered requests",
        unit="ms",
        title="TTFT\nms",
        better="lower",
        spec=".1f",
        in_table=True,
        interval_spec=".0f",
    )
    ttft_ms_p50_ci_low: float | None = end()
    ttft_ms_p50_ci_high: float | None = end()
    ttft_ms_p90: float | None = same_at(90, ".0f")
    ttft_ms_p90_ci_low: float | None = end()
    ttft_ms_p90_ci_high: float | None = end()
    ttft_ms_p99: float | None = same_at(99, ".0f")
    ttft_ms_p99_ci_low: float | None = end()
    ttft_ms_p99_ci_high: float | None = end()
    ttft_speedup: float | None = column(
        "median of per-request TTFT reference / runner, all media sent before [interval]",
        unit="ratio",
        title="speed-up\nwarm",
        better="higher",
        spec=".2f",
        interval_spec=".2f",
        in_table=True,
    )
    ttft_speedup_ci_low: float | None = end()
    ttft_speedup_ci_high: float | None = end()
    ttft_host_speedup: float | None = column(
        "the same with all that is reused coming from the host's memory",
        unit="ratio",
        title="KV\non\nhost",
        better="higher",
        spec=".2f",
        in_table=True,
    )
    ttft_host_ms_p50: float | None = column(
        "median TTFT with all that is reused coming from there", unit="ms", better="lower", spec=".1f"
    )
    ttft_disk_speedup: float | None = column(
        "the same with all that is reused read from disk (--store-dir), whose cache in memory was dropped before",
        unit="ratio",
        title="KV\non\ndisk",
        better="higher",
        spec=".2f",
    )
    ttft_disk_ms_p50: float | None = column(
        "median TTFT with all that is reused read from there", unit="ms", better="lower", spec=".1f"
    )
    ttft_speedup_all: float | None = column(
        "median of per-request TTFT reference / runner over all requests", unit="ratio", better="higher", spec=".2f"
    )
    ttft_speedup_total: float | None = column(
        "TTFT of the reference / TTFT, each summed over all requests", unit="ratio", better="higher", spec=".2f"
    )
    ttft_speedup_vs_lossless: float | None = column(
        "speed-up against the lossless runner with the lowest median TTFT on such requests",
        unit="ratio",
        title="vs\nloss-\nless",
        better="higher",
        spec=".2f",
        in_table=True,
    )
    best_lossless: str | None = column("the runner that ttft_speedup_vs_lossless compares with")
    cold_ttft_ratio: float | None = column(
        "median of per-request TTFT runner / reference, no medium sent before", unit="ratio", better="lower", spec=".2f"
    )
    encoder_gain: float | None = column(
        "of the speed-up, what skipping the encoder gives: median of per-request TTFT reference / encoder-cache, warm",
        unit="ratio",
        better="higher",
        spec=".2f",
    )
    kv_gain: float | None = column(
        "of the speed-up, what reusing keys and values gives: median of per-request TTFT encoder-cache / runner, warm",
        unit="ratio",
        better="higher",
        spec=".2f",
    )
    break_even_reuses: float | None = column(
        "median extra TTFT of a cold request / median saving of a warm one, both against the reference",
        unit="count",
        better="lower",
        spec=".2f",
    )
    store_ms_p50: float | None = column(
        "median time spent filling the stores after the answer", unit="ms", better="lower", spec=".1f"
    )
    warmup_ms: float | None = column(
        "time spent before anything was timed, recording included", unit="ms", better="lower", spec=".0f"
    )
    capture_ms: float | None = column(
        "time spent recording CUDA graphs between answers", unit="ms", better="lower", spec=".0f"
    )
    vision_tokens: float | None = column("mean vision tokens of a prompt", unit="count", spec=".0f")
    content_share: float | None = column(
        "mean share of the vision area that carries content", unit="0..1", scale=100, spec=".0f"
    )
    recompute_ratio: float | None = column(
        "computed / all vision token-layers, summed over warm requests",
        unit="0..1",
        title="com-\nputed\n%",
        better="lower",
        scale=100,
        spec=".1f",
        in_table=True,
    )
    reuse_predicted: float | None = column(
        "vision token-layers that plans leave to what is stored / all, summed over warm requests",
        unit="0..1",
        better="higher",
        scale=100,
        spec=".1f",
    )
    reuse_achieved: float | None = column(
        "the same as executed: less than predicted is a fallback",
        unit="0..1",
        better="higher",
        scale=100,
        spec=".1f",
    )
    executed_flops_ratio: float | None = column(
        "FLOPs executed (selection included) / of full recomputation, summed over warm requests",
        unit="0..1",
        title="FLOPs\n%",
        better="lower",
        scale=100,
        spec=".1f",
        in_table=True,
    )
    recompute_ratio_p90: float | None = column(
        "90th percentile of the computed share, request by request",
        unit="0..1",
        title="com-\nputed\np90, %",
        better="lower",
        scale=100,
        spec=".1f",
    )
    kept_share: float | None = column(
        "warm requests answered from what is stored, of a runner that estimates its risk",
        unit="0..1",
        title="kept\n%",
        scale=100,
        spec=".0f",
    )
    repaired_share: float | None = column(
        "warm requests of which some tokens were computed again",
        unit="0..1",
        title="re-\npaired\n%",
        scale=100,
        spec=".0f",
    )
    recomputed_share: float | None = column(
        "warm requests answered exactly: everything that no equal prefix gives was computed",
        unit="0..1",
        title="recom-\nputed\n%",
        scale=100,
        spec=".0f",
    )
    unlike_share: float | None = column(
        "warm requests, of those looked at, unlike those that the model was calibrated on: everything was computed",
        unit="0..1",
        title="un-\nlike\n%",
        scale=100,
        spec=".0f",
    )
    skipped_share: float | None = column(
        "warm requests of which everything was computed without an estimate, since those before saved nothing",
        unit="0..1",
        title="skip-\nped\n%",
        scale=100,
        spec=".0f",
    )
    doubt_share: float | None = column(
        "warm requests in whose answer a token was in doubt: everything was computed before it was given",
        unit="0..1",
        title="in\ndoubt\n%",
        scale=100,
        spec=".0f",
    )
    calibration: str | None = column(
        "what the runner's promise rests on; none where it is uncalibrated", title="calibrated on"
    )
    risk_promised: float | None = column(
        "share of answers that the runner may change, beyond what rounding changes",
        unit="0..1",
        title="pro-\nmised\n%",
        scale=100,
        spec=".1f",
    )
    risk_threshold: float | None = column(
        "largest estimate of it with which something is reused; 0 where its calibration allows for none",
        unit="0..1",
        scale=100,
        spec=".2f",
    )
    risk_predicted: float | None = column(
        "mean estimate of that share, of the first warm request of each case",
        unit="0..1",
        title="pre-\ndicted\n%",
        better="lower",
        scale=100,
        spec=".1f",
    )
    risk_found: float | None = column(
        "share of answers that changed, of the first warm request of each case [exact bounds]",
        unit="0..1",
        title="found\n%",
        better="lower",
        scale=100,
        spec=".1f",
        interval_spec=".1f",
    )
    risk_found_ci_low: float | None = end()
    risk_found_ci_high: float | None = end()
    media_hit_rate: float | None = column(
        "media served from a store / media asked", unit="0..1", better="higher", scale=100, spec=".0f"
    )
    media_hit_rate_recurring: float | None = column(
        "the same of recurring media", unit="0..1", better="higher", scale=100, spec=".0f"
    )
    kv_hit_rate: float | None = column(
        "media whose stored K, V were reused / media asked",
        unit="0..1",
        title="KV\nhits\n%",
        better="higher",
        scale=100,
        spec=".0f",
        in_table=True,
    )
    kv_hit_rate_recurring: float | None = column(
        "the same of recurring media", unit="0..1", better="higher", scale=100, spec=".0f"
    )
    encoder_hit_rate: float | None = column(
        "media not encoded again / media asked", unit="0..1", better="higher", scale=100, spec=".0f"
    )
    encoder_hit_rate_recurring: float | None = column(
        "the same of recurring media", unit="0..1", better="higher", scale=100, spec=".0f"
    )
    fallbacks: int = column(
        "times something reusable was computed; records say why", unit="count", required=True, better="lower"
    )
    invalid: int | None = column(
        "answers of a server whose caches were not in the state that it is named for: no evidence, and left out",
        unit="count",
        title="in-\nvalid",
        better="lower",
    )
    server_prefix_share: float | None = column(
        "of warm requests, tokens that the server took from an equal prefix / tokens of the prompt",
        unit="0..1",
        title="prefix\n%",
        scale=100,
        spec=".0f",
    )
    server_preprocessing_rate: float | None = column(
        "of warm requests, media that the server did not preprocess again / media asked",
        unit="0..1",
        title="prepro-\ncessing\n%",
        scale=100,
        spec=".0f",
    )
    server_encoder_rate: float | None = column(
        "of warm requests, media that the server did not encode again, as it counts them / media asked",
        unit="0..1",
        title="encoder\n%",
        scale=100,
        spec=".0f",
    )
    server_kv_share: float | None = column(
        "of warm requests, tokens whose keys and values the server took from another store, such as LMCache's / tokens",
        unit="0..1",
        title="other\nstore\n%",
        scale=100,
        spec=".0f",
    )
    throughput_rps: float | None = column(
        "answered requests a second, of a run under load",
        unit="1/s",
        title="ans-\nwered\n1/s",
        better="higher",
        spec=".2f",
    )
    goodput_rps: float | None = column(
        "requests a second whose answer kept to --slo",
        unit="1/s",
        title="good-\nput\n1/s",
        better="higher",
        spec=".2f",
        interval_spec=".1f",
    )
    goodput_rps_ci_low: float | None = end()
    goodput_rps_ci_high: float | None = end()
    slo_share: float | None = column(
        "share of requests whose answer kept to it; failed ones did not [interval]",
        unit="0..1",
        title="kept\nSLO\n%",
        better="higher",
        scale=100,
        spec=".1f",
        interval_spec=".0f",
    )
    slo_share_ci_low: float | None = end()
    slo_share_ci_high: float | None = end()
    tpot_ms_p50: float | None = column(
        "median time for each token behind the first",
        unit="ms",
        better="lower",
        spec=".1f",
        interval_spec=".1f",
    )
    tpot_ms_p50_ci_low: float | None = end()
    tpot_ms_p50_ci_high: float | None = end()
    tpot_ms_p90: float | None = same_at(90, ".1f")
    tpot_ms_p90_ci_low: float | None = end()
    tpot_ms_p90_ci_high: float | None = end()
    tpot_ms_p99: float | None = same_at(99, ".1f")
    tpot_ms_p99_ci_low: float | None = end()
    tpot_ms_p99_ci_high: float | None = end()
    e2e_ms_p50: float | None = column(
        "median time from sending a request to the end of its answer, of a run under load",
        unit="ms",
        better="lower",
        spec=".1f",
        interval_spec=".0f",
    )
    e2e_ms_p50_ci_low: float | None = end()
    e2e_ms_p50_ci_high: float | None = end()
    e2e_ms_p90: float | None = same_at(90, ".0f")
    e2e_ms_p90_ci_low: float | None = end()
    e2e_ms_p90_ci_high: float | None = end()
    e2e_ms_p99: float | None = same_at(99, ".0f")
    e2e_ms_p99_ci_low: float | None = end()
    e2e_ms_p99_ci_high: float | None = end()
    client_lag_ms_p99: float | None = column(
        "99th percentile of how late the client sent a request",
        unit="ms",
        title="lag\n99 %\nms",
        better="lower",
        spec=".1f",
    )
    client_late_share: float | None = column(
        "share of requests that it sent more than 10 ms late", unit="0..1", better="lower", scale=100, spec=".1f"
    )
    client_rate_error: float | None = column(
        "how far the rate at which requests were sent was from the one asked for, as a share of it",
        unit="0..1",
        better="lower",
        scale=100,
        spec=".2f",
    )
    floor_ratio: float | None = column(
        "median of TTFT / the shortest time this device could take for the work, all media sent before",
        unit="ratio",
        better="lower",
    )
    peak_memory_mb: float | None = column(
        "most memory held: the model, what the runner stores, and one request", unit="MB", better="lower", spec=".0f"
    )
    kv_bytes_per_token: float | None = column(
        "stored per vision token, all a method keeps", unit="bytes", better="lower", spec=".0f"
    )

    @classmethod
    def measured(cls, values: Mapping[str, Any]) -> Self:
        """A row of a run: every column has to be measured, if only as None, and whatever is measured to be a column.

        Raises:
            TypeError: naming the columns that are only declared, or only measured.
        """
        declared = {declared.name for declared in columns_of(cls)}
        if apart := sorted(declared ^ values.keys()):
            raise TypeError(f"either declared in Row or measured by summarise, but not both: {', '.join(apart)}")
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Plain types, by the names of the columns."""
        return dict(vars(self))


COLUMNS = columns_of(Row)
TABLE_COLUMNS = tuple(known for known in COLUMNS if known.in_table)
