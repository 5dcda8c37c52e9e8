"""Draw the requests of a trace: sizes, arrivals and which image is which. No pictures and no texts yet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from workloads.seeding import Split, stream
from workloads.traces.distributions import Gaps, Strata
from workloads.traces.recurrence import RecurringImages
from workloads.traces.replay import Replayed
from workloads.traces.trace_file import TraceFile

FEWEST_TEXT_TOKENS = 1


@dataclass(frozen=True)
class TracedImage:
    """An image of a request.

    Attributes:
        number: in order of appearance; equal numbers are the same image.
        tokens: its size, as published and not yet scaled.
        is_new: whether no request before this one showed it.
    """

    number: int
    tokens: int
    is_new: bool


@dataclass(frozen=True)
class TracedRequest:
    """One request of a trace, sizes in tokens as published and not yet scaled.

    Attributes:
        session: the number of its session.
        turn: its number in the session.
        arrival_s: seconds from the beginning; of later turns the earliest, when answers take no time.
        think_s: seconds after the answer before; None for the first turn.
    """

    session: int
    turn: int
    arrival_s: float
    think_s: float | None
    images: tuple[TracedImage, ...]
    text_tokens: int
    output_tokens: int


def draw_requests(file: TraceFile, split: Split, seed: int) -> Iterator[TracedRequest]:
    """Draw requests without end, session by session in the order in which sessions begin."""
    drawn = file.drawn
    draws = {name: Strata(stream(split, "trace", seed, name)) for name in ("gap", "images", "text", "output", "turns")}
    kinds, thinking = stream(split, "trace", seed, "kind"), stream(split, "trace", seed, "think")
    arrivals, counts, turns = drawn.arrivals, drawn.images.distribution(), file.sessions.distribution()
    gaps = Gaps(file.sessions.mean_turns / arrivals.requests_per_s, arrivals.cv, arrivals.weibull)
    images = RecurringImages(file.recurrence, stream(split, "trace", seed, "recurrence"))
    begins_s, session = 0.0, 0
    while True:
        begins_s += gaps.at(draws["gap"].draw(), kinds.random())
        now_s, think_s = begins_s, None
        for turn in range(turns.at(draws["turns"].draw())):
            if turn:
                think_s = float(thinking.exponential(file.sessions.think_s))
                now_s += think_s
            yield TracedRequest(
                session,
                turn,
                arrival_s=now_s,
                think_s=think_s,
                images=_sized(images, counts.at(draws["images"].draw()), now_s, file),
                text_tokens=_whole(drawn.text_tokens.at(draws["text"].draw())),
                output_tokens=_whole(drawn.output_tokens.at(draws["output"].draw())),
            )
        session += 1


def replay_requests(file: TraceFile, rows: Iterator[Replayed], split: Split, seed: int) -> Iterator[TracedRequest]:
    """Draw what a published file does not say: which images are shown and how large they are.

    Of a file that counts the tokens of images among those of its context, the others are text.
    """
    images = RecurringImages(file.recurrence, stream(split, "trace", seed, "recurrence"))
    for session, row in enumerate(rows):
        shown = _sized(images, row.images, row.arrival_s, file)
        text = row.input_tokens - sum(image.tokens for image in shown)
        yield TracedRequest(
            session,
            0,
            arrival_s=row.arrival_s,
            think_s=None,
            images=shown,
            text_tokens=max(text, FEWEST_TEXT_TOKENS),
            output_tokens=max(row.output_tokens, 1),
        )


def _sized(images: RecurringImages, count: int, now_s: float, file: TraceFile) -> tuple[TracedImage, ...]:
    return tuple(
        TracedImage(image.number, _whole(file.image_tokens.at(image.share)), image.is_new)
        for image in images.draw(count, now_s)
    )


def _whole(size: float) -> int:
    return max(1, math.floor(size + 0.5))
