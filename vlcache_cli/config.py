"""The one configuration of ``vlcache bench``: every setting, its default, its meaning and how it is read."""

from __future__ import annotations

import json as jsonlib
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from runners.registry import DEFAULT_RUNNERS
from vlcache_cli import settings
from vlcache_cli.settings import Reader

ASKED, ANSWERING, MODEL, STORE, OUTPUT = "What is asked", "Who answers", "Model", "Store", "Output and settings"


@dataclass(frozen=True)
class Setting:
    """What there is to say of a field besides its name, type and default.

    Attributes:
        group: heading in the help; settings under ``OUTPUT`` have no influence on what is measured.
        read: turns what a flag or a YAML file says into the value.
        meaning: for the help.
        shown: the default as the help shows it, where that is not the value itself.
    """

    group: str
    read: Reader
    meaning: str
    shown: str | None = None


def _about(group: str, read: Reader, meaning: str, shown: str | None = None) -> dict[str, Setting]:
    return {"setting": Setting(group, read, meaning, shown)}


@dataclass(frozen=True)
class BenchConfig:
    """Everything that ``vlcache bench`` can be told. A flag and its YAML key have the name of the field."""

    workload: tuple[str, ...] = field(
        default=("image-chat", "doc-qa", "video", "binding"),
        metadata=_about(ASKED, settings.texts, "Name of a workload, or FILE.jsonl with your own requests; repeatable."),
    )
    samples: int = field(default=32, metadata=_about(ASKED, settings.whole(1), "Requests of each workload."))
    seed: int = field(default=0, metadata=_about(ASKED, settings.whole(0), "Another seed asks other questions."))
    reuse_rate: float = field(
        default=0.8,
        metadata=_about(ASKED, settings.share, "Chance that a conversation is about media shown before, 0 to 1."),
    )
    max_new_tokens: int = field(default=4, metadata=_about(ASKED, settings.whole(1), "Longest answer, in tokens."))
    warmup: int = field(
        default=2, metadata=_about(ASKED, settings.whole(0), "Requests answered before anything is timed.")
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
    reference: str = field(
        default="full", metadata=_about(ANSWERING, settings.text, "Runner that the others are compared with.")
    )
    recompute_ratio: float = field(
        default=0.05,
        metadata=_about(
            ANSWERING, settings.share, "Share of vision tokens to compute, where a runner takes one, 0 to 1."
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
    model: str = field(default="builtin", metadata=_about(MODEL, settings.text, "builtin, or a folder."))
    dtype: str = field(
        default="float32",
        metadata=_about(
            MODEL,
            settings.one_of("float32", "bfloat16", "float16"),
            "Number format of the weights: float32, bfloat16 or float16.",
        ),
    )
    device: str = field(
        default="auto", metadata=_about(MODEL, settings.one_of("auto", "cpu", "cuda"), "auto, cpu or cuda.")
    )
    device_budget: int = field(
        default=2**30,
        metadata=_about(STORE, settings.size, "Most bytes that each runner stores on the device.", shown="1GiB"),
    )
    strict_reuse: bool = field(
        default=False,
        metadata=_about(STORE, settings.switch, "A request fails when something that should be reused is computed."),
    )
    output: Path = field(
        default=Path("results"),
        metadata=_about(OUTPUT, settings.path, "Folder of the run.", shown="results/<UTC time>-<configuration>"),
    )
    resume: bool = field(default=False, metadata=_about(OUTPUT, settings.switch, "Continue the run in --output."))
    json: bool = field(
        default=False, metadata=_about(OUTPUT, settings.switch, "Print one JSON document instead of tables.")
    )
    preset: str | None = field(
        default=None, metadata=_about(OUTPUT, settings.text, "Settings that come with vlcache, by name.")
    )
    config: Path | None = field(
        default=None, metadata=_about(OUTPUT, settings.path, "YAML file with settings, keys named like flags.")
    )

    def measured(self) -> dict[str, Any]:
        """What has an influence on what is measured, as JSON types: only runs in which it is equal may be merged."""
        values = {name: getattr(self, name) for name, setting in SETTINGS.items() if setting.group != OUTPUT}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def digest(self) -> str:
        """SHA-256 (hex) of ``measured``."""
        return sha256(jsonlib.dumps(self.measured(), sort_keys=True).encode()).hexdigest()


SETTINGS: dict[str, Setting] = {entry.name: entry.metadata["setting"] for entry in fields(BenchConfig)}
DEFAULTS = BenchConfig()
