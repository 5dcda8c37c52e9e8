"""What every command can be told that serves requests: what is asked, by which model, and where results go."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from runners.defaults import DonorPolicy, RunnerDefaults
from runners.engine.attention.backends import BACKENDS
from runners.engine.media.sampling import DEFAULT_SAMPLING, MOST_FRAMES, FrameSampling
from runners.registry import DEFAULT_RUNNERS
from vlcache_cli.config import readers as settings
from vlcache_cli.config.setting import ANSWERING, ASKED, MODEL, OUTPUT, STORE, about, settings_of
from workloads.records import Popularity, Recur
from workloads.registry import DEFAULT_WORKLOADS

WORKLOAD_MEANING = (
    "Name of a workload or data set (vlcache list workloads), lm-eval:TASK, FILE.yaml that describes a data set, or "
    "FILE.jsonl with your own requests; repeatable."
)


@dataclass(frozen=True)
class StreamConfig:
    """What every command can be told that serves requests. A flag and its YAML key have the name of the field."""

    workload: tuple[str, ...] = field(
        default=DEFAULT_WORKLOADS,
        metadata=about(ASKED, settings.texts, WORKLOAD_MEANING),
    )
    samples: int = field(default=32, metadata=about(ASKED, settings.whole(1), "Requests of each workload."))
    seed: int = field(default=0, metadata=about(ASKED, settings.whole(0), "Another seed asks other questions."))
    reuse_rate: float | None = field(
        default=None,
        metadata=about(
            ASKED,
            settings.share,
            "Share of conversations about media shown before, 0 to 1; files are asked as they are.",
            shown="0.8, data sets 0.5",
            flag_type=float,
        ),
    )
    popularity: Popularity | None = field(
        default=None,
        metadata=about(
            ASKED,
            settings.one_of("zipf", "even"),
            "Which media come back: some often (zipf), or all alike (even), which verdicts need fewer samples for.",
            shown="zipf, data sets even",
        ),
    )
    recur: Recur | None = field(
        default=None,
        metadata=about(
            ASKED,
            settings.one_of(*get_args(Recur)),
            "How media of data sets come back: prefix (asked again under another opening), questions (other questions "
            "about them), shuffle (asked again after pictures of other cases) or none.",
            shown="as suits the data set",
        ),
    )
    dataset_path: Path | None = field(
        default=None,
        metadata=about(
            ASKED, settings.path, "Folder with a copy of the data set, in the hub's layout; nothing is downloaded then."
        ),
    )
    subjects: tuple[str, ...] = field(
        default=(),
        metadata=about(
            ASKED, settings.names, "Parts of the data set, such as MMMU's subjects: a comma list.", shown="all"
        ),
    )
    video_fps: float = field(
        default=DEFAULT_SAMPLING.fps,
        metadata=about(
            ASKED,
            settings.positive,
            f"Frames a second looked at of a video, {DEFAULT_SAMPLING.fewest} to {DEFAULT_SAMPLING.most} in all.",
        ),
    )
    video_frames: int = field(
        default=DEFAULT_SAMPLING.frames,
        metadata=about(
            ASKED,
            settings.whole_up_to(MOST_FRAMES),
            f"So many frames of every video in place of --video-fps, up to {MOST_FRAMES}; 0: as that says.",
        ),
    )
    runner: tuple[str, ...] = field(
        default=DEFAULT_RUNNERS,
        metadata=about(
            ANSWERING,
            settings.texts,
            "A comma list of names, or one runner with options: name@key=value,key=value; repeatable.",
            shown="every method and some variants",
        ),
    )
    donor: DonorPolicy = field(
        default=RunnerDefaults.donor,
        metadata=about(
            ANSWERING,
            settings.one_of(*get_args(DonorPolicy)),
            "What stands before a medium when it is stored: previous (request), template or isolated.",
        ),
    )
    model: str = field(
        default="builtin",
        metadata=about(
            MODEL,
            settings.text,
            "builtin, a folder, a model on the Hugging Face hub as owner/name, or shape:NAME for random weights in a "
            "published shape (see vlcache list models).",
        ),
    )
    revision: str | None = field(
        default=None, metadata=about(MODEL, settings.text, "Branch, tag or commit of a model on the hub.")
    )
    dtype: str = field(
        default="auto",
        metadata=about(
            MODEL,
            settings.one_of("auto", "float32", "bfloat16", "float16"),
            "Number format of the weights: float32, bfloat16 or float16; auto is bfloat16 for shapes, else float32.",
        ),
    )
    device: str = field(
        default="auto", metadata=about(MODEL, settings.one_of("auto", "cpu", "cuda"), "auto, cpu or cuda.")
    )
    device_map: str = field(
        default="single",
        metadata=about(
            MODEL,
            settings.one_of("single", "auto"),
            "single: all on --device; auto: on the device where accelerate finds room.",
        ),
    )
    attn: str = field(
        default="auto",
        metadata=about(
            MODEL, settings.one_of("auto", *BACKENDS), f"What computes attention: auto, {', '.join(BACKENDS)}."
        ),
    )
    device_budget: int = field(
        default=2**30,
        metadata=about(STORE, settings.size, "Most bytes that each runner stores on the device.", "1GiB", str),
    )
    output: Path = field(
        default=Path("results"),
        metadata=about(OUTPUT, settings.path, "Folder of the run.", shown="results/<UTC time>-<configuration>"),
    )
    json: bool = field(
        default=False, metadata=about(OUTPUT, settings.switch, "Print one JSON document instead of tables.")
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


def _plain(value: object) -> object:
    """As JSON has it."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
