"""The settings of every command that serves requests: workloads, runners, the model, stores and output."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, get_args

from runners.defaults import DonorPolicy
from runners.engine.attention.backends import BACKENDS
from runners.engine.media.sampling import DEFAULT_SAMPLING, MOST_FRAMES, FrameSampling
from runners.models.choices import AUTO, DEVICE_MAPS, DEVICES, DTYPES, READS, SINGLE
from runners.registry import DEFAULT_RUNNERS
from vlcache_cli.config import readers
from vlcache_cli.config.setting import MODEL, OUTPUT, REQUESTS, RUNNERS, STORE, setting, settings_of
from workloads.records import Popularity, Recur
from workloads.registry import DEFAULT_WORKLOADS, TEXT_PAGES

WORKLOAD_HELP = (
    "Name of a workload or data set (vlcache list workloads), lm-eval:TASK, FILE.yaml that describes a data set, or "
    "FILE.jsonl with your own requests; or a comma list of these; repeatable."
)


@dataclass(frozen=True)
class StreamConfig:
    """Settings of every command that serves requests. A flag and its YAML key have the name of the field."""

    workload: tuple[str, ...] = setting(
        DEFAULT_WORKLOADS,
        REQUESTS,
        readers.names_or_files,
        WORKLOAD_HELP,
        default_text=f"{', '.join(DEFAULT_WORKLOADS)}; of --model reader its text pages",
    )
    samples: int | None = setting(
        None,
        REQUESTS,
        readers.whole(1),
        "Requests of each workload.",
        default_text="24 or 36, with which 8 or more separate cases come back; text pages, data sets and files 32",
        flag_type=int,
    )
    blocks: int = setting(
        1,
        REQUESTS,
        readers.whole(1, 1000),
        "Draw the requests in so many blocks, each with a seed of its own and empty stores: what --on ray spreads.",
    )
    seed: int = setting(0, REQUESTS, readers.whole(0, most=readers.MOST_SEED), "Another seed asks other questions.")
    reuse_rate: float | None = setting(
        None,
        REQUESTS,
        readers.share,
        "Share of conversations about media shown before, 0 to 1; files are asked as they are.",
        default_text="media come back once: 0.5 or 0.33; with zipf and even 0.8, text pages 0.75; data sets 0.5",
        flag_type=float,
    )
    popularity: Popularity | None = setting(
        None,
        REQUESTS,
        readers.one_of(*get_args(Popularity)),
        "Which media come back: each case's own (own), all alike (even), or some often (zipf), as in production, "
        "which verdicts need many more samples for.",
        default_text="own; data sets even",
    )
    distinct_media: tuple[int, ...] = setting(
        (),
        REQUESTS,
        readers.counts,
        "Ask about so many distinct cases of media, drawn anew for each conversation: up to how many do caches pay? "
        "A comma list; each is a workload of its own.",
        default_text="as --reuse-rate and --popularity say",
        flag_type=str,
    )
    recur: Recur | None = setting(
        None,
        REQUESTS,
        readers.one_of(*get_args(Recur)),
        "How media of files come back: prefix (asked again under another opening), questions (other questions "
        "about them), shuffle (asked again after pictures of other cases) or none.",
        default_text="as suits the data set; files as they are",
    )
    dataset_path: Path | None = setting(
        None,
        REQUESTS,
        readers.path,
        "Folder with a copy of the data set, in the hub's layout; nothing is downloaded then.",
    )
    subjects: tuple[str, ...] = setting(
        (), REQUESTS, readers.names, "Parts of the data set, such as MMMU's subjects: a comma list.", default_text="all"
    )
    video_fps: float = setting(
        DEFAULT_SAMPLING.fps,
        REQUESTS,
        readers.positive,
        f"Frames a second looked at of a video, {DEFAULT_SAMPLING.fewest} to {DEFAULT_SAMPLING.most} in all.",
    )
    video_frames: int = setting(
        DEFAULT_SAMPLING.frames,
        REQUESTS,
        readers.whole(0, MOST_FRAMES),
        f"So many frames of every video in place of --video-fps, up to {MOST_FRAMES}; 0: as that says.",
    )
    runner: tuple[str, ...] = setting(
        DEFAULT_RUNNERS,
        RUNNERS,
        readers.texts,
        "A comma list of names, or one runner with options: name@key=value,key=value; repeatable; all for every one.",
        default_text="those that vlcache list runners says",
    )
    donor: DonorPolicy | None = setting(
        None,
        RUNNERS,
        readers.one_of(*get_args(DonorPolicy)),
        "What stands before a medium when it is stored, for all runners: previous (request), template or isolated.",
        default_text="each runner's own, see vlcache list runners",
    )
    model: str = setting(
        "builtin",
        MODEL,
        readers.text,
        "builtin, a folder, a model on the Hugging Face hub as owner/name, or shape:NAME for random weights in a "
        "published shape (see vlcache list models).",
    )
    revision: str | None = setting(None, MODEL, readers.text, "Branch, tag or commit of a model on the hub.")
    dtype: str = setting(
        AUTO,
        MODEL,
        readers.one_of(*DTYPES),
        "Number format of the weights: float32, bfloat16 or float16; auto is bfloat16 for shapes, else float32.",
    )
    device: str = setting(AUTO, MODEL, readers.one_of(*DEVICES), "auto, cpu or cuda.")
    device_map: str = setting(
        SINGLE,
        MODEL,
        readers.one_of(*DEVICE_MAPS),
        "single: all on --device; auto: on the device where accelerate finds room.",
    )
    attn: str = setting(
        AUTO, MODEL, readers.one_of(AUTO, *BACKENDS), f"What computes attention: auto, {', '.join(BACKENDS)}."
    )
    device_budget: int = setting(
        2**30,
        STORE,
        readers.size,
        "Most bytes that each runner stores on the device.",
        default_text="1GiB",
        flag_type=str,
    )
    output: Path = setting(
        Path("results"), OUTPUT, readers.path, "Folder of the run.", default_text="results/<UTC time>-<configuration>"
    )
    json: bool = setting(False, OUTPUT, readers.switch, "Print one JSON document instead of tables.")

    def loading(self, profile: Path | None = None) -> dict[str, Any]:
        """How the model is loaded: keyword arguments of ``load_model``.

        Args:
            profile: see there.
        """
        return {
            "dtype": self.dtype,
            "device": self.device,
            "profile": profile,
            "device_map": self.device_map,
            "attention": self.attn,
            "sampling": self.sampling,
        }

    def follow_up_of(self, default: int) -> int:
        """Requests asked beyond the first ones, of a runner whose loss they can bound; ``default``: of the workload."""
        return 0

    def with_usual_workloads(self) -> Self:
        """The same with the workloads that the model can read, where it cannot read the default ones."""
        return replace(self, workload=tuple(TEXT_PAGES)) if READS.get(self.model) == "text" else self

    @property
    def sampling(self) -> FrameSampling:
        """Which frames of videos are looked at."""
        return FrameSampling(fps=self.video_fps, frames=self.video_frames)

    def measured(self) -> dict[str, Any]:
        """What has an influence on what is measured, as JSON types: only runs in which it is equal may be merged."""
        names = [name for name, about in settings_of(type(self)).items() if about.group.measured]
        return {name: _plain(getattr(self, name)) for name in names}

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
