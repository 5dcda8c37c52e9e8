"""The configurations of ``vlcache bench``, ``sweep`` and ``profile``: every setting, its default and how it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from runners.defaults import RunnerDefaults
from vlcache_cli.config import readers as settings
from vlcache_cli.config.setting import ANSWERING, ASKED, MODEL, OUTPUT, STORE, VERDICT, about, settings_of
from vlcache_cli.config.stream import WORKLOAD_MEANING, StreamConfig


@dataclass(frozen=True)
class RunConfig(StreamConfig):
    """What every command can be told that keeps and compares answers."""

    max_new_tokens: int | None = field(
        default=None,
        metadata=about(
            ASKED,
            settings.whole(1),
            "Longest answer, in tokens.",
            shown="as each workload needs",
            flag_type=int,
        ),
    )
    warmup: int = field(
        default=2, metadata=about(ASKED, settings.whole(0), "Requests answered before anything is timed.")
    )
    reference: str = field(
        default="full", metadata=about(ANSWERING, settings.text, "Runner that the others are compared with.")
    )
    profile: Path | None = field(
        default=None,
        metadata=about(
            MODEL, settings.path, "Measured profile of the model, by vlcache profile, in place of the one beside it."
        ),
    )
    tolerance: float = field(
        default=RunnerDefaults.tolerance,
        metadata=about(
            ANSWERING,
            settings.not_negative,
            "Relative deviation up to which computed and stored keys and values agree, so that vlcache stops there.",
        ),
    )
    max_ratio: float = field(
        default=RunnerDefaults.max_ratio,
        metadata=about(
            ANSWERING, settings.share, "Largest share of vision tokens that vlcache computes in any layer, 0 to 1."
        ),
    )
    host_budget: int = field(
        default=2**30,
        metadata=about(
            STORE,
            settings.size,
            "Most bytes that each runner also stores in the host's memory; what is reused is timed from there, too. "
            "0 switches that off.",
            "1GiB",
            str,
        ),
    )
    strict_reuse: bool = field(
        default=False,
        metadata=about(STORE, settings.switch, "A request fails when something that should be reused is computed."),
    )
    margin: float = field(
        default=0.02,
        metadata=about(
            VERDICT, settings.between_0_and_1, "A loss of accuracy as large as this is too much: 0.02 is 2 points."
        ),
    )
    alpha: float = field(
        default=0.05,
        metadata=about(VERDICT, settings.between_0_and_1, "Intervals have the confidence 1 - alpha."),
    )
    resume: bool = field(default=False, metadata=about(OUTPUT, settings.switch, "Continue the run in --output."))
    no_media: bool = field(
        default=False,
        metadata=about(OUTPUT, settings.switch, "Keep no pictures of changed answers in the run folder."),
    )
    preset: str | None = field(
        default=None, metadata=about(OUTPUT, settings.text, "Settings that come with vlcache, by name.")
    )
    config: Path | None = field(
        default=None, metadata=about(OUTPUT, settings.path, "YAML file with settings, keys named like flags.")
    )


@dataclass(frozen=True)
class BenchConfig(RunConfig):
    """Everything that ``vlcache bench`` can be told."""

    recompute_ratio: float = field(
        default=RunnerDefaults.recompute_ratio,
        metadata=about(
            ANSWERING, settings.share, "Share of vision tokens to compute, where a runner takes one, 0 to 1."
        ),
    )


@dataclass(frozen=True)
class SweepConfig(RunConfig):
    """Everything that ``vlcache sweep`` can be told.

    An empty ``runner`` stands for some baselines and every method that takes a ratio, which only the registry knows.
    """

    runner: tuple[str, ...] = field(
        default=(),
        metadata=about(
            ANSWERING,
            settings.texts,
            "A comma list of names, or one runner with options: name@key=value,key=value; repeatable. Those that take "
            "a ratio run at every ratio, unless their options fix it.",
            shown="full, prefix-cache, full-reuse and every method that takes a ratio",
        ),
    )
    device_budget: int = field(
        default=2**27,
        metadata=about(
            STORE,
            settings.size,
            "Most bytes that each runner stores on the device. Every runner at every ratio has a store of its own: "
            "memory grows with their product.",
            "128MiB",
            str,
        ),
    )
    host_budget: int = field(
        default=0,
        metadata=about(
            STORE,
            settings.size,
            "Most bytes that each runner also stores in the host's memory; what is reused is timed from there, too.",
            "0",
            str,
        ),
    )
    recompute_ratio: tuple[float, ...] = field(
        default=(0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
        metadata=about(
            ANSWERING,
            settings.shares,
            "Shares of vision tokens to compute, where a runner takes one: a comma list of numbers from 0 to 1.",
            shown="0,0.01,0.02,0.05,0.1,0.2,0.5,1",
            flag_type=str,
        ),
    )


@dataclass(frozen=True)
class ProfileConfig(StreamConfig):
    """Everything that ``vlcache profile`` can be told. Its seed is not that of a benchmark, so none is fitted to."""

    workload: tuple[str, ...] = field(
        default=("binding", "doc-qa", "video"),
        metadata=about(ASKED, settings.texts, WORKLOAD_MEANING),
    )
    samples: int = field(default=48, metadata=about(ASKED, settings.whole(1), "Requests of each workload."))
    seed: int = field(default=500, metadata=about(ASKED, settings.whole(0), "Another seed asks other questions."))
    runner: tuple[str, ...] = field(
        default=("full-reuse",),
        metadata=about(
            ANSWERING,
            settings.texts,
            "One runner that reuses media, with options if any: name@key=value. The error map is of its answers.",
        ),
    )
    budget: float = field(
        default=0.05,
        metadata=about(
            ANSWERING,
            settings.between_0_and_1,
            "Share of vision tokens to compute that layer profile and probe layers are made for.",
        ),
    )
    device_budget: int = field(
        default=2**33,
        metadata=about(
            STORE,
            settings.size,
            "Most bytes stored on the device; what is evicted is not measured. As much again may be kept on the host.",
            "8GiB",
            str,
        ),
    )
    output: Path = field(
        default=Path("results"),
        metadata=about(OUTPUT, settings.path, "Folder for what is measured.", shown="results/<UTC time>-profile"),
    )

    def folder_name(self) -> str:
        """See ``StreamConfig``."""
        return "profile"


SETTINGS = settings_of(BenchConfig)
DEFAULTS = BenchConfig()
