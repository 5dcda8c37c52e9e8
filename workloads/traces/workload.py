"""A trace as a workload: its requests as conversations, with pictures and texts of their sizes, and their arrivals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.resources.abc import Traversable
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from workloads.base import StreamOptions, WorkloadDefaults
from workloads.datasets.sources import Sources
from workloads.errors import UsageError
from workloads.options import OPTION, read_options
from workloads.records import Answer, Conversation, Media, Turn
from workloads.seeding import Split, stream
from workloads.synthetic.prose import SYSTEM
from workloads.traces.drawing import TracedImage, TracedRequest, draw_requests, replay_requests
from workloads.traces.rendering import draw_picture, write_text
from workloads.traces.replay import replay
from workloads.traces.trace_file import TraceFile, read_trace_file

USUAL_PIXELS = 28  # of Qwen2-VL and Qwen2.5-VL: 14 to a patch, two by two patches to a token
MOST_REPLY = 16  # tokens that are generated: times are those to the first
MOST_KEPT = 4096  # pictures that are kept drawn


@dataclass(frozen=True)
class Trace:
    """Requests as production sends them: images and texts of published sizes, arrivals, and images that come back.

    Attributes:
        folder: of the description, with the file to replay.
        scale: factor of all sizes in tokens; None for what the description says.
        pixels: side of the square that a model makes one token of; None for what the description says, or the model.
    """

    name: str
    file: TraceFile
    folder: Path | None = None
    scale: Annotated[float, Interval(ge=1e-3, le=10)] | None = field(default=None, metadata=OPTION)
    pixels: Annotated[int, Interval(ge=4, le=128)] | None = field(default=None, metadata=OPTION)
    model_pixels: int | None = None

    @property
    def defaults(self) -> WorkloadDefaults:
        """See ``workloads.base.Workload``."""
        law = self.file.recurrence
        told = f"{law.seen_share:.0%} of requests with images show images seen before, by the law of the trace"
        scaled = "" if self._scale == 1 else f"; sizes in tokens are {self._scale:g} times those of the trace"
        return WorkloadDefaults(
            max_new_tokens=MOST_REPLY,
            reuse_rate=law.seen_share,
            popularity="own",
            recurrence=told + scaled,
            recurs_by="images come back by the law in the trace's description",
        )

    @property
    def _scale(self) -> float:
        return self.file.scale if self.scale is None else self.scale

    @property
    def _pixels(self) -> int:
        return self.pixels or self.file.pixels_per_token or self.model_pixels or USUAL_PIXELS

    def requests(self, split: Split, seed: int) -> Iterator[TracedRequest]:
        """Sizes and arrivals, without end where they are drawn."""
        if self.file.replay is None:
            return draw_requests(self.file, split, seed)
        if self.folder is None:
            raise UsageError(f"{self.name}: a file to replay lies beside a description on disk")
        return replay_requests(self.file, replay(self.folder, self.file.replay), split, seed)

    def conversations(self, options: StreamOptions) -> Iterator[Conversation]:
        """See ``workloads.base.Workload``."""
        pictures: dict[int, Media] = {}

        def picture(image: TracedImage) -> Media:
            if image.number not in pictures:
                rng = stream(options.split, "trace", options.seed, "image", image.number)
                size = self._scaled(image.tokens)
                if len(pictures) == MOST_KEPT:
                    pictures.pop(next(iter(pictures)))
                pictures[image.number] = draw_picture(rng, size, self._pixels, f"image-{image.number}.png")
            return pictures[image.number]

        drawn = islice(self.requests(options.split, options.seed), options.samples)
        for session, requests in groupby(drawn, key=lambda request: request.session):
            turns: list[Turn] = []
            cluster = f"session-{session}"
            for request in requests:
                rng = stream(options.split, "trace", options.seed, "text", session, request.turn)
                is_text_first = rng.random() < self.file.text_first
                text, shown = write_text(rng, self._scaled(request.text_tokens)), tuple(map(picture, request.images))
                if request.images and not any(turn.media for turn in turns):
                    cluster = f"image-{request.images[0].number}"
                turns.append(
                    Turn(
                        id=f"request-{session}-{request.turn}",
                        content=(text, *shown) if is_text_first else (*shown, text),
                        answer=Answer((), "exact-match"),
                        family=f"{min(len(request.images), 2)}{'+' * (len(request.images) > 1)} images",
                        arrival_s=request.arrival_s,
                        think_s=request.think_s,
                        output_tokens=self._scaled(request.output_tokens),
                    )
                )
            yield Conversation(f"session-{session}", cluster, SYSTEM, tuple(turns))

    def _scaled(self, tokens: int) -> int:
        return max(1, round(tokens * self._scale))


def open_trace(name: str, file: Traversable, sources: Sources) -> Trace:
    """The trace that a file describes.

    Raises:
        UsageError: the file is not what it should be, or a setting says what a trace says itself.
    """
    for flag, given in (
        ("--recur", sources.recur is not None),
        ("--subjects", bool(sources.subjects)),
        ("--dataset-path", sources.dataset_path is not None),
    ):
        if given:
            raise UsageError(f"trace '{name}' takes no {flag}: its description says all of it; drop it")
    folder = file.parent if isinstance(file, Path) else None
    trace = Trace(name, read_trace_file(file), folder, model_pixels=sources.pixels_per_token)
    return replace(trace, **read_options(Trace, name))
