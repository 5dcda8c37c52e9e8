"""The configurations of ``vlcache bench``, ``sweep`` and ``profile``: every setting, its default and how it is read."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass, field, fields
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from runners.engine.backends import BACKENDS
from runners.engine.sampling import DEFAULT_SAMPLING, MOST_FRAMES, FrameSampling
from runners.registry import DEFAULT_RUNNERS, RunnerDefaults
from vlcache_cli import settings
from vlcache_cli.settings import Reader
from workloads.records import Popularity, Recur
from workloads.registry import DEFAULT_WORKLOADS


class Group(StrEnum):
    """The headings in the help under which settings stand."""

    ASKED = "What is asked"
    ANSWERING = "Who answers"
    MODEL = "Model"
    STORE = "Store"
    VERDICT = "Verdict"
    OUTPUT = "Output and settings"

    @property
    def measured(self) -> bool:
        """Whether its settings have an influence on what is measured, and not only on what is said of it."""
        return self not in (Group.VERDICT, Group.OUTPUT)


ASKED, ANSWERING, MODEL, STORE, VERDICT, OUTPUT = Group

WORKLOAD_MEANING = (
    "Name of a workload or data set (vlcache list workloads), lm-eval:TASK, FILE.yaml that describes a data set, or "
    "FILE.jsonl with your own requests; repeatable."
)


@dataclass(frozen=True)
class Setting:
    """What there is to say of a field besides its name, type and default.

    Attributes:
        group: heading in the help.
        read: turns what a flag or a YAML file says into the value.
        meaning: for the help.
        shown: the default as the help shows it, where that is not the value itself.
        flag_type: what a flag's text becomes before it is read, where that is not the type of the default.
    """

    group: Group
    read: Reader
    meaning: str
    shown: str | None = None
    flag_type: type | None = None


def _about(
    group: Group, read: Reader, meaning: str, shown: str | None = None, flag_type: type | None = None
) -> dict[str, Setting]:
    return {"setting": Setting(group, read, meaning, shown, flag_type)}


@dataclass(frozen=True)
class StreamConfig:
    """What every command can be told that serves requests. A flag and its YAML key have the name of the field."""

    workload: tuple[str, ...] = field(
        default=DEFAULT_WORKLOADS,
        metadata=_about(ASKED, settings.texts, WORKLOAD_MEANING),
    )
    samples: int = field(default=32, metadata=_about(ASKED, settings.whole(1), "Requests of each workload."))
    seed: int = field(default=0, metadata=_about(ASKED, settings.whole(0), "Another seed asks other questions."))
    reuse_rate: float | None = field(
        default=None,
        metadata=_about(
            ASKED,
            settings.share,
            "Share of conversations about media shown before, 0 to 1; files are asked as they are.",
            shown="0.8, data sets 0.5",
            flag_type=float,
        ),
    )
    popularity: Popularity | None = field(
        default=None,
        metadata=_about(
            ASKED,
            settings.one_of("zipf", "even"),
            "Which media come back: some often (zipf), or all alike (even), which verdicts need fewer samples for.",
            shown="zipf, data sets even",
        ),
    )
    recur: Recur | None = field(
        default=None,
        metadata=_about(
            ASKED,
            settings.one_of(*get_args(Recur)),
            "How media of data sets come back: prefix (asked again under another opening), questions (other questions "
            "about them), shuffle (asked again after pictures of other cases) or none.",
            shown="as suits the data set",
        ),
    )
    dataset_path: Path | None = field(
        default=None,
        metadata=_about(
            ASKED, settings.path, "Folder with a copy of the data set, in the hub's layout; nothing is downloaded then."
        ),
    )
    subjects: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            ASKED, settings.names, "Parts of the data set, such as MMMU's subjects: a comma list.", shown="all"
        ),
    )
    video_fps: float = field(
        default=DEFAULT_SAMPLING.fps,
        metadata=_about(
            ASKED,
            settings.positive,
            f"Frames a second looked at of a video, {DEFAULT_SAMPLING.fewest} to {DEFAULT_SAMPLING.most} in all.",
        ),
    )
    video_frames: int = field(
        default=DEFAULT_SAMPLING.frames,
        metadata=_about(
            ASKED,
            settings.whole_up_to(MOST_FRAMES),
            f"So many frames of every video in place of --video-fps, up to {MOST_FRAMES}; 0: as that says.",
        ),
    )
    runner: tuple[str, ...] = field(
        default=DEFAULT_RUNNERS,
        metadata=_about(
            ANSWERING,
            settings.texts,
            "A comma list of names, or one runner with options: name@key=value,key=value; repeatable.",
            shown="every method and some variants",
        ),
    )
    donor: str = field(
        default="previous",
        metadata=_about(
            ANSWERING,
            settings.one_of("previous", "template", "isolated"),
            "What stands before a medium when it is stored: previous (request), template or isolated.",
        ),
    )
    model: str = field(
        default="builtin",
        metadata=_about(
            MODEL,
            settings.text,
            "builtin, a folder, a model on the Hugging Face hub as owner/name, or shape:NAME for random weights in a "
            "published shape (see vlcache list models).",
        ),
    )
    revision: str | None = field(
        default=None, metadata=_about(MODEL, settings.text, "Branch, tag or commit of a model on the hub.")
    )
    dtype: str = field(
        default="auto",
        metadata=_about(
            MODEL,
            settings.one_of("auto", "float32", "bfloat16", "float16"),
            "Number format of the weights: float32, bfloat16 or float16; auto is bfloat16 for shapes, else float32.",
        ),
    )
    device: str = field(
        default="auto", metadata=_about(MODEL, settings.one_of("auto", "cpu", "cuda"), "auto, cpu or cuda.")
    )
    device_map: str = field(
        default="single",
        metadata=_about(
            MODEL,
            settings.one_of("single", "auto"),
            "single: all on --device; auto: on the device where accelerate finds room.",
        ),
    )
    attn: str = field(
        default="auto",
        metadata=_about(
            MODEL, settings.one_of("auto", *BACKENDS), f"What computes attention: auto, {', '.join(BACKENDS)}."
        ),
    )
    device_budget: int = field(
        default=2**30,
        metadata=_about(STORE, settings.size, "Most bytes that each runner stores on the device.", "1GiB", str),
    )
    output: Path = field(
        default=Path("results"),
        metadata=_about(OUTPUT, settings.path, "Folder of the run.", shown="results/<UTC time>-<configuration>"),
    )
    json: bool = field(
        default=False, metadata=_about(OUTPUT, settings.switch, "Print one JSON document instead of tables.")
    )

    @property
    def sampling(self) -> FrameSampling:
        """Which frames of videos are looked at."""
        return FrameSampling(fps=self.video_fps, frames=self.video_frames)

    def measured(self) -> dict[str, Any]:
        """What has an influence on what is measured, as JSON types: only runs in which it is equal may be merged."""
        told = settings_of(type(self)).items()
        values = {name: getattr(self, name) for name, setting in told if setting.group.measured}
        return {name: _plain(value) for name, value in values.items()}

    def digest(self) -> str:
        """SHA-256 (hex) of ``measured``."""
        return sha256(jsonlib.dumps(self.measured(), sort_keys=True).encode()).hexdigest()

    def folder_name(self) -> str:
        """What the default folder is called, after the time."""
        return self.digest()[:8]


@dataclass(frozen=True)
class RunConfig(StreamConfig):
    """What every command can be told that keeps and compares answers."""

    max_new_tokens: int | None = field(
        default=None,
        metadata=_about(
            ASKED,
            settings.whole(1),
            "Longest answer, in tokens.",
            shown="as each workload needs",
            flag_type=int,
        ),
    )
    warmup: int = field(
        default=2, metadata=_about(ASKED, settings.whole(0), "Requests answered before anything is timed.")
    )
    reference: str = field(
        default="full", metadata=_about(ANSWERING, settings.text, "Runner that the others are compared with.")
    )
    profile: Path | None = field(
        default=None,
        metadata=_about(
            MODEL, settings.path, "Measured profile of the model, by vlcache profile, in place of the one beside it."
        ),
    )
    tolerance: float = field(
        default=RunnerDefaults.tolerance,
        metadata=_about(
            ANSWERING,
            settings.not_negative,
            "Relative deviation up to which computed and stored keys and values agree, so that vlcache stops there.",
        ),
    )
    max_ratio: float = field(
        default=RunnerDefaults.max_ratio,
        metadata=_about(
            ANSWERING, settings.share, "Largest share of vision tokens that vlcache computes in any layer, 0 to 1."
        ),
    )
    strict_reuse: bool = field(
        default=False,
        metadata=_about(STORE, settings.switch, "A request fails when something that should be reused is computed."),
    )
    margin: float = field(
        default=0.02,
        metadata=_about(
            VERDICT, settings.between_0_and_1, "A loss of accuracy as large as this is too much: 0.02 is 2 points."
        ),
    )
    alpha: float = field(
        default=0.05,
        metadata=_about(VERDICT, settings.between_0_and_1, "Intervals have the confidence 1 - alpha."),
    )
    resume: bool = field(default=False, metadata=_about(OUTPUT, settings.switch, "Continue the run in --output."))
    no_media: bool = field(
        default=False,
        metadata=_about(OUTPUT, settings.switch, "Keep no pictures of changed answers in the run folder."),
    )
    preset: str | None = field(
        default=None, metadata=_about(OUTPUT, settings.text, "Settings that come with vlcache, by name.")
    )
    config: Path | None = field(
        default=None, metadata=_about(OUTPUT, settings.path, "YAML file with settings, keys named like flags.")
    )


@dataclass(frozen=True)
class BenchConfig(RunConfig):
    """Everything that ``vlcache bench`` can be told."""

    recompute_ratio: float = field(
        default=RunnerDefaults.recompute_ratio,
        metadata=_about(
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
        metadata=_about(
            ANSWERING,
            settings.texts,
            "A comma list of names, or one runner with options: name@key=value,key=value; repeatable. Those that take "
            "a ratio run at every ratio, unless their options fix it.",
            shown="full, prefix-cache, full-reuse and every method that takes a ratio",
        ),
    )
    device_budget: int = field(
        default=2**27,
        metadata=_about(
            STORE,
            settings.size,
            "Most bytes that each runner stores on the device. Every runner at every ratio has a store of its own: "
            "memory grows with their product.",
            "128MiB",
            str,
        ),
    )
    recompute_ratio: tuple[float, ...] = field(
        default=(0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
        metadata=_about(
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
        metadata=_about(ASKED, settings.texts, WORKLOAD_MEANING),
    )
    samples: int = field(default=48, metadata=_about(ASKED, settings.whole(1), "Requests of each workload."))
    seed: int = field(default=500, metadata=_about(ASKED, settings.whole(0), "Another seed asks other questions."))
    runner: tuple[str, ...] = field(
        default=("full-reuse",),
        metadata=_about(
            ANSWERING,
            settings.texts,
            "One runner that reuses media, with options if any: name@key=value. The error map is of its answers.",
        ),
    )
    budget: float = field(
        default=0.05,
        metadata=_about(
            ANSWERING,
            settings.between_0_and_1,
            "Share of vision tokens to compute that layer profile and probe layers are made for.",
        ),
    )
    device_budget: int = field(
        default=2**33,
        metadata=_about(
            STORE,
            settings.size,
            "Most bytes stored on the device; what is evicted is not measured. As much again may be kept on the host.",
            "8GiB",
            str,
        ),
    )
    output: Path = field(
        default=Path("results"),
        metadata=_about(OUTPUT, settings.path, "Folder for what is measured.", shown="results/<UTC time>-profile"),
    )

    def folder_name(self) -> str:
        """See ``StreamConfig``."""
        return "profile"


def settings_of(config: type[StreamConfig]) -> dict[str, Setting]:
    """The settings of a command by name, those of a group side by side."""
    found = {entry.name: entry.metadata["setting"] for entry in fields(config)}
    order = list(Group)
    return dict(sorted(found.items(), key=lambda item: order.index(item[1].group)))


def _plain(value: object) -> object:
    """As JSON has it."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


SETTINGS = settings_of(BenchConfig)
DEFAULTS = BenchConfig()
