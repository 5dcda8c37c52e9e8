"""Every column of the summary, declared as data: what it is called, what it means, how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Column:
    """One field of a summary row.

    Attributes:
        name: the key in the row: the contract of ``--json``.
        unit: of the stored number; empty for texts.
        meaning: the legend's sentence.
        title: the table's heading.
        better: which direction is good, where one is.
        scale: what a stored number is multiplied by before it is shown.
        spec: format specification of a shown number.
        interval_spec: format specification of the ends ``name_ci_low`` and ``name_ci_high``, when there are such.
        in_table: whether the default table has this column.
        words: texts that are shown as shorter ones.
    """

    name: str
    unit: str
    meaning: str
    title: str = ""
    better: Better | None = None
    scale: float = 1
    spec: str = ""
    interval_spec: str | None = None
    in_table: bool = False
    words: tuple[tuple[str, str], ...] = ()


MEASURED_COLUMNS = (
    Column("runner", "", "what answered; * marks the reference", title="runner", in_table=True),
    Column("workload", "", "what was asked"),
    Column("model", "", "the model"),
    Column("device", "", "where it ran"),
    Column("dtype", "", "number format of its weights"),
    Column("weights", "", "loaded, or random in a published shape: then answers mean nothing, and are not judged"),
    Column("requests", "count", "turns asked, failed ones included"),
    Column("compared", "count", "turns with a medium sent before: where answers are compared with the reference's"),
    Column(
        "compared_worth", "count", "separate turns that they are worth at least, given which share media", spec=".0f"
    ),
    Column("failed", "count", "turns without an answer: they count as wrong and have no time", better="lower"),
    Column("scored", "count", "turns with a gold answer: accuracy is theirs; of the others agreement tells"),
    Column("parse_failed", "count", "answers that the metric could not read: they count as wrong", better="lower"),
    Column(
        "official_accuracy",
        "0..1",
        "mean score by the official scorer where that differs in kind, by guessing say; failed turns count as wrong",
        better="higher",
        scale=100,
        spec=".1f",
    ),
    Column(
        "accuracy",
        "0..1",
        "mean score by the workload's metric, where there is a gold answer [interval]",
        title="accuracy\n%",
        better="higher",
        scale=100,
        spec=".1f",
        interval_spec=".0f",
        in_table=True,
    ),
    Column(
        "accuracy_delta",
        "0..1",
        "accuracy less the reference's, where a medium was sent before [interval]",
        title="change\npoints",
        better="higher",
        scale=100,
        spec="+.1f",
        interval_spec=".1f",
        in_table=True,
    ),
    Column(
        "agreement",
        "0..1",
        "share of requests whose whole answer equals the reference's: what counts without gold answers",
        title="same\n%",
        better="higher",
        scale=100,
        spec=".0f",
        in_table=True,
    ),
    Column(
        "flip_rate", "0..1", "share of answers that differ from the reference's", better="lower", scale=100, spec=".1f"
    ),
    Column(
        "noise_flip_rate",
        "0..1",
        "the same of the runner that does what the reference does in another order: what rounding alone changes",
        scale=100,
        spec=".1f",
    ),
    Column(
        "verdict",
        "",
        "non-inferior: the whole interval of the change lies above -margin; inferior: below; else undecided",
        title="ver-\ndict",
        in_table=True,
        words=(("non-inferior", "ok"), ("inferior", "worse"), ("undecided", "open")),
    ),
    Column("margin", "0..1", "the loss of accuracy that the verdict is about"),
    Column("alpha", "0..1", "every interval has the confidence 1 - alpha"),
    Column(
        "kl_mean",
        "nats",
        "mean divergence of the first token, KL(reference || runner)",
        title="KL\nnats",
        better="lower",
        spec=".1e",
        in_table=True,
    ),
    Column(
        "ttft_ms_p50",
        "ms",
        "median time to first token of all answered requests",
        title="TTFT\nms",
        better="lower",
        spec=".1f",
        in_table=True,
    ),
    Column("ttft_ms_p90", "ms", "90th percentile of the same", better="lower", spec=".1f"),
    Column("ttft_ms_p99", "ms", "99th percentile of the same", better="lower", spec=".1f"),
    Column(
        "ttft_speedup",
        "ratio",
        "median of per-request TTFT reference / runner, all media sent before [interval]",
        title="speed-up\nwarm",
        better="higher",
        spec=".2f",
        interval_spec=".2f",
        in_table=True,
    ),
    Column(
        "ttft_host_speedup",
        "ratio",
        "the same with all that is reused coming from the host's memory",
        title="KV\non\nhost",
        better="higher",
        spec=".2f",
        in_table=True,
    ),
    Column(
        "ttft_host_ms_p50", "ms", "median TTFT with all that is reused coming from there", better="lower", spec=".1f"
    ),
    Column(
        "ttft_speedup_all",
        "ratio",
        "median of per-request TTFT reference / runner over all requests",
        better="higher",
        spec=".2f",
    ),
    Column(
        "ttft_speedup_vs_lossless",
        "ratio",
        "speed-up against the lossless runner with the lowest median TTFT on such requests",
        title="vs\nloss-\nless",
        better="higher",
        spec=".2f",
        in_table=True,
    ),
    Column("best_lossless", "", "the runner that ttft_speedup_vs_lossless compares with"),
    Column(
        "cold_ttft_ratio",
        "ratio",
        "median of per-request TTFT runner / reference, no medium sent before",
        better="lower",
        spec=".2f",
    ),
    Column(
        "break_even_reuses",
        "count",
        "median extra TTFT of a cold request / median saving of a warm one, both against the reference",
        better="lower",
        spec=".2f",
    ),
    Column("store_ms_p50", "ms", "median time spent filling the stores after the answer", better="lower", spec=".1f"),
    Column("warmup_ms", "ms", "time spent before anything was timed, recording included", better="lower", spec=".0f"),
    Column("capture_ms", "ms", "time spent recording CUDA graphs between answers", better="lower", spec=".0f"),
    Column("vision_tokens", "count", "mean vision tokens of a prompt", spec=".0f"),
    Column("content_share", "0..1", "mean share of the vision area that carries content", scale=100, spec=".0f"),
    Column(
        "recompute_ratio",
        "0..1",
        "computed / all vision token-layers, summed over warm requests",
        title="com-\nputed\n%",
        better="lower",
        scale=100,
        spec=".1f",
        in_table=True,
    ),
    Column(
        "executed_flops_ratio",
        "0..1",
        "FLOPs executed (selection included) / of full recomputation, summed over warm requests",
        title="FLOPs\n%",
        better="lower",
        scale=100,
        spec=".1f",
        in_table=True,
    ),
    Column("media_hit_rate", "0..1", "media served from a store / media asked", better="higher", scale=100, spec=".0f"),
    Column("media_hit_rate_recurring", "0..1", "the same of recurring media", better="higher", scale=100, spec=".0f"),
    Column(
        "kv_hit_rate",
        "0..1",
        "media whose stored K, V were reused / media asked",
        title="KV\nhits\n%",
        better="higher",
        scale=100,
        spec=".0f",
        in_table=True,
    ),
    Column("kv_hit_rate_recurring", "0..1", "the same of recurring media", better="higher", scale=100, spec=".0f"),
    Column("encoder_hit_rate", "0..1", "media not encoded again / media asked", better="higher", scale=100, spec=".0f"),
    Column("encoder_hit_rate_recurring", "0..1", "the same of recurring media", better="higher", scale=100, spec=".0f"),
    Column("fallbacks", "count", "times something reusable was computed; records say why", better="lower"),
    Column(
        "floor_ratio",
        "ratio",
        "median of TTFT / the shortest time this device could take for the work, all media sent before",
        better="lower",
    ),
    Column(
        "peak_memory_mb",
        "MB",
        "most memory held: the model, what the runner stores, and one request",
        better="lower",
        spec=".0f",
    ),
    Column("kv_bytes_per_token", "bytes", "stored per vision token, all a method keeps", better="lower", spec=".0f"),
)


def _with_ends(column: Column) -> tuple[Column, ...]:
    if column.interval_spec is None:
        return (column,)
    ends = (
        Column(f"{column.name}_ci_{end}", column.unit, f"{end} end of the interval of {column.name}")
        for end in ("low", "high")
    )
    return (column, *ends)


COLUMNS = tuple(column for measured in MEASURED_COLUMNS for column in _with_ends(measured))
TABLE_COLUMNS = tuple(column for column in COLUMNS if column.in_table)
