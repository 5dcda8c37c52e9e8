"""A cell of a run: one block of one workload through all runners, which gives the same records wherever it is asked.

All runners of a request answer on one machine, so that times are only ever paired within it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Self

from runners.engine.media.sampling import FrameSampling
from runners.local import build_runners
from runners.models.load import LoadedModel, load_model, resolve_model
from runners.records import Record, record_key
from runners.registry import RunnerSpec
from runners.session import SessionOptions, serve
from workloads.errors import UsageError
from workloads.records import Conversation


@dataclass(frozen=True)
class ModelSettings:
    """How a model is loaded, see ``load_model``.

    Attributes:
        fingerprint: of the model that the run is about; None where those who load it compare theirs.
    """

    name: str
    revision: str | None
    dtype: str
    device: str
    profile: Path | None
    device_map: str
    attention: str
    sampling: FrameSampling
    fingerprint: str | None = None

    def load(self) -> LoadedModel:
        """Load the model.

        Raises:
            UsageError: it cannot be had here.
        """
        return load_model(
            self.name,
            resolve_model(self.name, self.revision),
            dtype=self.dtype,
            device=self.device,
            profile=self.profile,
            device_map=self.device_map,
            attention=self.attention,
            sampling=self.sampling,
        )


@dataclass(frozen=True)
class Cell:
    """What one task asks.

    Attributes:
        block: its place among the blocks of the workload.
        finished: records of an earlier part of the run, by key.
    """

    model: ModelSettings
    specs: tuple[RunnerSpec, ...]
    adopt: bool
    workload: str
    conversations: tuple[Conversation, ...]
    options: SessionOptions
    block: int = 0
    finished: Mapping[str, Record] = field(default_factory=dict)

    def left(self, finished: Mapping[str, Record]) -> Self | None:
        """The same without what is finished; None when all is."""
        keys = [
            record_key(self.workload, turn.id, spec.label)
            for conversation in self.conversations
            for turn in conversation.turns
            for spec in self.specs
        ]
        known = {key: finished[key] for key in keys if key in finished}
        return None if len(known) == len(keys) else replace(self, finished=known)

    def records(self) -> Iterator[Record]:
        """Ask the cell here.

        Raises:
            UsageError: the model is another one on this machine.
        """
        model = _model(self.model)
        runners = build_runners(self.specs, model, self.options.reference, self.adopt)
        node = socket.gethostname()
        for record in serve(self.workload, self.conversations, runners, self.options, self.finished):
            yield replace(record, node=node)


@lru_cache(1)
def _model(settings: ModelSettings) -> LoadedModel:
    """Load a model once in a process."""
    model = settings.load()
    if model.fingerprint != settings.fingerprint:
        raise UsageError(
            f"the model '{settings.name}' is another one on {socket.gethostname()}: copy the run's model there"
        )
    return model
