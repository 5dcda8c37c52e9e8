"""The configurations of ``vlcache bench``, ``sweep`` and ``profile``: their settings beyond ``StreamConfig``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from reports.statistics.levels import DEFAULT_ALPHA, DEFAULT_MARGIN
from runners.defaults import DEFAULT_RATIO, RunnerDefaults, StoreDtype
from runners.engine.store.disk.settings import DEFAULT_NAMESPACE
from vlcache_cli.config import readers
from vlcache_cli.config.setting import LOAD, MODEL, OUTPUT, REQUESTS, RUNNERS, STORE, VERDICT, setting, settings_of
from vlcache_cli.config.stream import WORKLOAD_HELP, StreamConfig
from workloads.arrivals import speed_of_trace


@dataclass(frozen=True)
class RunConfig(StreamConfig):
    """Settings of the commands that keep and compare answers."""

    max_new_tokens: int | None = setting(
        None,
        REQUESTS,
        readers.whole(1),
        "Longest answer, in tokens.",
        default_text="as each workload needs",
        flag_type=int,
    )
    no_image: bool = setting(
        False,
        REQUESTS,
        readers.switch,
        "Ask the same questions without their media: how much of a score needs no picture.",
    )
    warmup: int = setting(1, REQUESTS, readers.whole(0), "Requests answered before anything is timed.")
    reference: str = setting("full", RUNNERS, readers.text, "Runner that the others are compared with.")
    profile: Path | None = setting(
        None, MODEL, readers.path, "Measured profile of the model, by vlcache profile, in place of the one beside it."
    )
    risk: float = setting(
        RunnerDefaults.risk,
        RUNNERS,
        readers.between_0_and_1,
        "Share of answers that vlcache may change, for requests like those that the model was calibrated on.",
    )
    adopt: bool = setting(
        True,
        RUNNERS,
        readers.switch,
        "Cold requests, but for the first few, are computed once: runners that would compute the same take that over, "
        "untimed.",
    )
    on: str = setting(
        "local",
        OUTPUT,
        readers.place,
        "Where: local, ray (a cluster on this machine) or ray://HOST:PORT; workloads and --blocks are spread over it.",
    )
    timeout: float = setting(
        RunnerDefaults.timeout,
        RUNNERS,
        readers.positive,
        "Seconds after which a request to a server (--runner endpoint@url=...) is given up.",
    )
    api_key_env: str | None = setting(
        None,
        RUNNERS,
        readers.text,
        "Environment variable with the API key for servers; the key itself is kept nowhere.",
        flag_type=str,
    )
    host_budget: int = setting(
        0,
        STORE,
        readers.size,
        "Most bytes that each runner also stores in the host's memory; what is reused is then timed once more, coming "
        "from there. 0: neither.",
        default_text="0",
        flag_type=str,
    )
    store_dir: Path | None = setting(
        None,
        STORE,
        readers.path,
        "Folder in which entries also live on disk, for later runs and other processes; reuse is timed from there.",
        default_text="none",
    )
    disk_budget: int = setting(
        2**34,
        STORE,
        readers.size,
        "Most bytes in --store-dir, of all runners and processes together.",
        default_text="16GiB",
        flag_type=str,
    )
    namespace: str = setting(
        DEFAULT_NAMESPACE,
        STORE,
        readers.text,
        "Whose entries in --store-dir are seen: those of the same namespace alone.",
    )
    store_dtype: StoreDtype = setting(
        "auto",
        STORE,
        readers.one_of(*get_args(StoreDtype)),
        "Keys and values of stored media on the host and on disk: the model's own numbers (auto), or int8 by channel.",
    )
    strict_reuse: bool = setting(
        False, STORE, readers.switch, "A request fails when something that should be reused is computed."
    )
    arrivals: str = setting(
        "poisson",
        LOAD,
        readers.arrivals,
        "How they arrive: poisson, constant, gamma:CV (gaps with that coefficient of variation) or burst:N. Without a "
        "rate, trace: at the times that the requests have of their own; trace:2 twice as fast.",
    )
    concurrency: int | None = setting(
        None,
        LOAD,
        readers.whole(1, 10_000),
        "Requests under way at once, the next sent when one is answered (a closed loop), in place of --request-rate.",
        flag_type=int,
    )
    clients: int | None = setting(
        None,
        LOAD,
        readers.whole(1, 1_000),
        "Processes that send the requests to servers, each its part of them at the same times.",
        default_text="as many as the rate takes, up to one a processor",
        flag_type=int,
    )
    duration: float | None = setting(
        None,
        LOAD,
        readers.positive,
        "Seconds after which no more requests are sent under load, however many --samples are left.",
        flag_type=float,
    )
    slo: str | None = setting(
        None,
        VERDICT,
        readers.slo,
        "What an answer must keep to count as goodput, in milliseconds: ttft=500,tpot=50 or one of both.",
        flag_type=str,
    )
    margin: float = setting(
        DEFAULT_MARGIN,
        VERDICT,
        readers.between_0_and_1,
        f"A loss of accuracy as large as this is too much: {DEFAULT_MARGIN} is {100 * DEFAULT_MARGIN:g} points.",
    )
    alpha: float = setting(DEFAULT_ALPHA, VERDICT, readers.between_0_and_1, "Intervals have the confidence 1 - alpha.")
    resume: bool = setting(False, OUTPUT, readers.switch, "Continue the run in --output.")
    no_media: bool = setting(False, OUTPUT, readers.switch, "Keep no pictures of changed answers in the run folder.")
    preset: str | None = setting(
        None, OUTPUT, readers.text, "Settings that come with vlcache, by name (vlcache list presets)."
    )
    config: Path | None = setting(None, OUTPUT, readers.path, "YAML file with settings, keys named like flags.")

    def about_media(self) -> dict[str, bool]:
        """Flags that say something about media, or their reuse, and whether they are given."""
        return {
            "--recur": self.recur is not None,
            "--reuse-rate": self.reuse_rate is not None,
            "--popularity": self.popularity is not None,
            "--strict-reuse": self.strict_reuse,
        }

    def drawn(self) -> RunConfig:
        """The settings that streams are drawn with."""
        return self

    @property
    def rates(self) -> tuple[float, ...]:
        """Requests a second of each open loop, ascending; none where requests come one by one, or in a closed loop."""
        return ()

    @property
    def is_loaded(self) -> bool:
        """Whether requests arrive while others are answered."""
        return bool(self.rates) or self.concurrency is not None or speed_of_trace(self.arrivals) is not None

    @property
    def is_sequential(self) -> bool:
        """Whether a runner is asked no more once it is decided."""
        return False

    def measured(self) -> dict[str, Any]:
        """See ``StreamConfig``; nothing is said of a disk tier or of packing where there is none."""
        return {
            name: value
            for name, value in super().measured().items()
            if (self.store_dir is not None or name not in ("store_dir", "disk_budget", "namespace"))
            and (self.store_dtype != "auto" or name != "store_dtype")
        }


@dataclass(frozen=True)
class BenchConfig(RunConfig):
    """Settings of ``vlcache bench``."""

    recompute_ratio: float | None = setting(
        None,
        RUNNERS,
        readers.share,
        "Share of vision tokens to compute, where a runner takes one, 0 to 1; of vlcache the most that it may.",
        default_text="0.05, of vlcache as its risk takes",
        flag_type=float,
    )
    request_rate: float | None = setting(
        None,
        LOAD,
        readers.positive,
        "Requests a second that arrive, answered or not (an open loop); runners are then asked one after another.",
        flag_type=float,
    )
    wide: bool = setting(False, OUTPUT, readers.switch, "Also print every column of every runner, as tables.")
    follow_up: int | None = setting(
        None,
        REQUESTS,
        readers.whole(0),
        "Requests of each workload asked beyond, of the reference and, among runners whose loss they can still bound "
        "below 5 points, the one that computes least.",
        default_text="as many as bound it if no answer changes, of workloads of cards without --samples; else 0",
        flag_type=int,
    )
    until_decided: bool = setting(
        False,
        REQUESTS,
        readers.switch,
        "Ask on until every lossy runner is decided at --margin, with bounds that allow for looking.",
    )
    max_samples: int = setting(
        2000, REQUESTS, readers.whole(1), "Most requests of each workload, with --until-decided, in place of --samples."
    )

    def about_media(self) -> dict[str, bool]:
        """See ``RunConfig``."""
        return {
            **super().about_media(),
            "--until-decided": self.until_decided,
            "--follow-up": bool(self.follow_up),
        }

    def follow_up_of(self, default: int) -> int:
        """See ``StreamConfig``. By default of the usual streams alone, asked request by request."""
        if self.follow_up is not None:
            return self.follow_up
        is_usual = (self.samples, self.reuse_rate, self.blocks, self.on) == (None, None, 1, "local")
        is_own = self.popularity in (None, "own") and not (self.distinct_media or self.no_image)
        return default if is_usual and is_own and not (self.is_loaded or self.until_decided) else 0

    def drawn(self) -> BenchConfig:
        """See ``RunConfig``."""
        return replace(self, samples=self.max_samples) if self.until_decided else self

    @property
    def rates(self) -> tuple[float, ...]:
        """See ``RunConfig``."""
        return () if self.request_rate is None else (self.request_rate,)

    @property
    def is_sequential(self) -> bool:
        """See ``RunConfig``."""
        return self.until_decided


@dataclass(frozen=True)
class SweepConfig(RunConfig):
    """Settings of ``vlcache sweep``.

    An empty ``runner`` stands for some baselines and every method that takes a ratio, which only the registry knows.
    """

    samples: int | None = setting(
        60, REQUESTS, readers.whole(1), "Requests of each workload, asked at every ratio.", flag_type=int
    )
    runner: tuple[str, ...] = setting(
        (),
        RUNNERS,
        readers.texts,
        "A comma list of names, or one runner with options: name@key=value,key=value; repeatable. Those that take "
        "a ratio run at every ratio, unless their options fix it.",
        default_text="full, prefix-cache, full-reuse and every method that takes a ratio",
    )
    device_budget: int = setting(
        2**27,
        STORE,
        readers.size,
        "Most bytes that each runner stores on the device. Every runner at every ratio has a store of its own: "
        "memory grows with their product.",
        default_text="128MiB",
        flag_type=str,
    )
    recompute_ratio: tuple[float, ...] = setting(
        (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
        RUNNERS,
        readers.shares,
        "Shares of vision tokens to compute, where a runner takes one: a comma list of numbers from 0 to 1.",
        default_text="0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1",
        flag_type=str,
    )
    request_rate: tuple[float, ...] = setting(
        (),
        LOAD,
        readers.rates,
        "Rates, in requests a second, at which runners are asked (an open loop), in place of the ratios: a comma list.",
        default_text="none",
        flag_type=str,
    )

    @property
    def rates(self) -> tuple[float, ...]:
        """See ``RunConfig``."""
        return self.request_rate


@dataclass(frozen=True)
class ProfileConfig(StreamConfig):
    """Settings of ``vlcache profile``. Its seed is not that of a benchmark, so none is fitted to."""

    workload: tuple[str, ...] = setting(
        ("binding", "doc-qa", "video"),
        REQUESTS,
        readers.names_or_files,
        WORKLOAD_HELP,
        default_text="binding, doc-qa, video; of --model reader its text pages",
    )
    samples: int | None = setting(48, REQUESTS, readers.whole(1), "Requests of each workload.", flag_type=int)
    seed: int = setting(500, REQUESTS, readers.whole(0, most=readers.MOST_SEED), "Another seed asks other questions.")
    runner: tuple[str, ...] = setting(
        ("full-reuse",),
        RUNNERS,
        readers.texts,
        "One runner that reuses media, with options if any: name@key=value. The error map is of its answers.",
    )
    calibration_samples: int = setting(
        400,
        REQUESTS,
        readers.whole(0),
        "Requests of each workload on which the risk of reuse is calibrated, for vlcache; 0: it is not.",
    )
    only_risk: bool = setting(
        False, REQUESTS, readers.switch, "Calibrate alone: what the model's profile says of its layers stays."
    )
    budget: float = setting(
        DEFAULT_RATIO,
        RUNNERS,
        readers.between_0_and_1,
        "Share of vision tokens to compute that layer schedule and probe layers are made for.",
    )
    device_budget: int = setting(
        2**33,
        STORE,
        readers.size,
        "Most bytes stored on the device; what is evicted is not measured. As much again may be kept on the host.",
        default_text="8GiB",
        flag_type=str,
    )
    output: Path = setting(
        Path("results"), OUTPUT, readers.path, "Folder for what is measured.", default_text="results/<UTC time>-profile"
    )

    def folder_name(self) -> str:
        """See ``StreamConfig``."""
        return "profile"


SETTINGS = settings_of(BenchConfig)
DEFAULTS = BenchConfig()
