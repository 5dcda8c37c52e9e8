"""Read the description of a trace: a YAML file with the statistics of its requests, each with its source as a comment.

``servegen-image.yaml`` beside this file is one, with every key. ``replay`` names a published file beside the
description in place of ``arrivals`` and ``images``, see ``workloads.traces.replay``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from workloads.datasets.within import inside
from workloads.errors import UsageError
from workloads.reading import Read, Text, parse_yaml, read_yaml
from workloads.reading.regular import read_bounded
from workloads.traces.distributions import Counts, Quantiles, read_quantiles, tail_ratio

KEY = "trace"
"""The key that tells the description of a trace from that of a data set."""

MOST_BYTES = 2**20
MOST_SIZE, MOST_COUNT = 10**7, 1000
LEAST_RATE, MOST_RATE = 1e-6, 1e6
TOLERANCE = 1e-6

Share = Annotated[float, Interval(ge=0, le=1)]
Seconds = Annotated[float, Interval(ge=0, le=1e9)]
Size = Annotated[float, Interval(ge=0, le=MOST_SIZE)]
Count = Annotated[int, Interval(ge=0, le=MOST_COUNT)]
Sizes = Annotated[Quantiles, Read(read_quantiles, dict[str, Size])]
"""A distribution of sizes by its quantiles: ``{p0: 8, p50: 106, p100: 8192}``."""

Shares = dict[Count, Share]


@dataclass(frozen=True)
class Tail:
    """Counts beyond those whose shares are known.

    Attributes:
        least, most: the range.
        mean: within it.
    """

    least: Count
    most: Count
    mean: Annotated[float, Interval(ge=0, le=MOST_COUNT)]

    def __post_init__(self) -> None:
        """Let some distribution have these values."""
        if self.most < self.least:
            raise ValueError(f"must have a most of at least {self.least}, not {self.most}")
        tail_ratio(self.least, self.most, self.mean)


@dataclass(frozen=True)
class Images:
    """How many images a request has: shares by count, and a tail for the rest."""

    counts: Shares
    tail: Tail | None = None

    def __post_init__(self) -> None:
        """Let shares be those of one whole."""
        _require_whole(self.counts, "counts", most_only=self.tail is not None)

    def distribution(self) -> Counts:
        """As one that can be drawn from."""
        if self.tail is None:
            top = max(self.counts)
            return Counts(self.counts, top, top, 1.0)
        least, most = self.tail.least, self.tail.most
        return Counts(self.counts, least, most, tail_ratio(least, most, self.tail.mean))


@dataclass(frozen=True)
class Arrivals:
    """When requests come.

    Attributes:
        requests_per_s: the mean rate.
        cv: coefficient of variation of the times between them; 1 is a Poisson process.
        weibull: share of these times that is Weibull; the others are gamma.
    """

    requests_per_s: Annotated[float, Interval(ge=LEAST_RATE, le=MOST_RATE)]
    cv: Annotated[float, Interval(ge=0.1, le=5)] = 1.0
    weibull: Share = 0.0


@dataclass(frozen=True)
class Recurrence:
    """The law by which images come back.

    Attributes:
        seen_share: of requests with images, those whose images were all shown before; the others bring new ones alone.
        zipf: exponent of the popularity of images, the oldest first.
        soon_s: seconds.
        soon_share: of images that come back, those last shown at most ``soon_s`` ago, where there are others.
    """

    seen_share: Share
    zipf: Annotated[float, Interval(ge=0, le=10)] = 1.0
    soon_s: Seconds = 600.0
    soon_share: Share = 0.8


@dataclass(frozen=True)
class Sessions:
    """Requests that share a history.

    Attributes:
        turns: share of sessions by their number of requests.
        think_s: mean seconds between an answer and the next request.
    """

    turns: Shares
    think_s: Seconds = 10.0

    def __post_init__(self) -> None:
        """Let every session have a turn."""
        _require_whole(self.turns, "turns")
        if 0 in self.turns:
            raise ValueError("must have turns of at least 1")

    def distribution(self) -> Counts:
        """As one that can be drawn from."""
        top = max(self.turns)
        return Counts(self.turns, top, top, 1.0)

    @property
    def mean_turns(self) -> float:
        """Requests of a session."""
        return sum(turns * share for turns, share in self.turns.items())


@dataclass(frozen=True)
class TraceFile:
    """A trace as it is described.

    Attributes:
        trace: what it is, in words.
        images, arrivals: of drawn requests; both are there where ``replay`` is not.
        image_tokens, text_tokens, output_tokens: sizes; a replayed file has its own of text and of output.
        text_first: share of requests whose text stands before their images, and so breaks prefixes.
        replay: a file beside the description with arrivals and sizes.
        scale: factor of all sizes in tokens, for models that cannot hold them.
        pixels_per_token: side of the square that a model makes one token of, where the model does not say.
    """

    trace: Text
    image_tokens: Sizes
    recurrence: Recurrence
    images: Images | None = None
    arrivals: Arrivals | None = None
    text_tokens: Sizes | None = None
    output_tokens: Sizes | None = None
    sessions: Sessions = field(default_factory=lambda: Sessions({1: 1.0}))
    text_first: Share = 0.5
    replay: Annotated[str, Read(inside, Text)] | None = None
    scale: Annotated[float, Interval(ge=1e-3, le=10)] = 1.0
    pixels_per_token: Annotated[int, Interval(ge=4, le=128)] | None = None

    def __post_init__(self) -> None:
        """Let nothing be missing, and nothing be said twice."""
        for name in ("images", "arrivals", "text_tokens", "output_tokens"):
            is_given = getattr(self, name) is not None
            if is_given and self.replay is not None:
                raise UsageError(f"{name} is what the file to replay says: drop it")
            if not is_given and self.replay is None:
                raise UsageError(f"{name} is missing: give it, or a file to replay")

    @property
    def drawn(self) -> Drawn:
        """What requests are drawn from that are not replayed; ValueError for a trace that is."""
        if self.images is None or self.arrivals is None or self.text_tokens is None or self.output_tokens is None:
            raise ValueError(f"the requests of this trace are those of {self.replay}")
        return Drawn(self.images, self.arrivals, self.text_tokens, self.output_tokens)


@dataclass(frozen=True)
class Drawn:
    """What requests are drawn from, see ``TraceFile``."""

    images: Images
    arrivals: Arrivals
    text_tokens: Quantiles
    output_tokens: Quantiles


def is_trace(path: Path) -> bool:
    """Whether a YAML file describes a trace; UsageError when it cannot be read."""
    given: Any = parse_yaml(read_bounded(path, MOST_BYTES, "trace file"), str(path))
    return isinstance(given, dict) and KEY in given


def read_trace_file(file: Traversable) -> TraceFile:
    """Read and check a description; UsageError for the first mistake, with file and key."""
    data = read_bounded(file, MOST_BYTES, "trace file") if isinstance(file, Path) else file.read_bytes()
    return read_yaml(data, TraceFile, str(file))


def _require_whole(shares: Mapping[int, float], name: str, most_only: bool = False) -> None:
    total = sum(shares.values())
    if not shares or total > 1 + TOLERANCE or (total < 1 - TOLERANCE and not most_only):
        limit = "at most 1, the tail having the rest" if most_only else "1"
        raise ValueError(f"must have {name} whose shares add up to {limit}, not to {total:g}")
