"""Draw which images come back: so many requests show images seen before, popular ones often, mostly soon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from workloads.traces.distributions import Strata
from workloads.traces.trace_file import Recurrence

CLASSES = 20
"""Sizes of images by twentieths. An image comes back in place of one of its class, so that sizes stay distributed as
they are published, whichever images are popular; quantiles at multiples of 5 % hold exactly."""

TRIES = 8  # draws by popularity alone, before all images that fit are listed


@dataclass(eq=False)
class ShownImage:
    """One image of a trace.

    Attributes:
        number: in order of appearance.
        share: its place in the distribution of sizes, from 0 to 1.
        last_s: seconds from the beginning until it was last shown.
        is_new: whether the request that it was drawn for is the first to show it.
    """

    number: int
    share: float
    last_s: float
    is_new: bool = True


class RecurringImages:
    """The images of a trace, as they are shown."""

    def __init__(self, law: Recurrence, rng: np.random.Generator) -> None:
        self._law, self._rng = law, rng
        self._seen, self._sizes, self._soon = Strata(rng), Strata(rng), Strata(rng)
        self._classes: list[list[ShownImage]] = [[] for _ in range(CLASSES)]
        self._shown = 0
        self._owed = 0

    def draw(self, count: int, now_s: float) -> list[ShownImage]:
        """The images of a request: all of them shown before, or all new.

        A request that is to show seen images, but has none of their size to show, brings new ones; the next that was to
        bring new ones shows seen ones instead.
        """
        if not count:
            return []
        wants_seen = self._seen.draw() < self._law.seen_share
        shares = [self._sizes.draw() for _ in range(count)]
        if not wants_seen and self._owed:
            wants_seen, self._owed = True, self._owed - 1
        found = self._find(shares, now_s) if wants_seen else None
        if wants_seen and found is None:
            self._owed += 1
        images = found or [self._new(share) for share in shares]
        for image in images:
            image.last_s = now_s
        return images

    def _find(self, shares: list[float], now_s: float) -> list[ShownImage] | None:
        """Different images of these classes, each shown before; None where there are not so many."""
        chosen: list[ShownImage] = []
        for share in shares:
            known = self._classes[_class(share)]
            if chosen:
                known = [image for image in known if image not in chosen]
            if not known:
                return None
            image = self._draw(known, now_s - self._law.soon_s, self._soon.draw() < self._law.soon_share)
            image.is_new = False
            chosen.append(image)
        return chosen

    def _draw(self, known: list[ShownImage], soon_since_s: float, wants_soon: bool) -> ShownImage:
        """An image by popularity, among those last shown since then or among the others; any where there are none."""
        for _ in range(TRIES):
            image = self._popular(known)
            if (image.last_s >= soon_since_s) is wants_soon:
                return image
        return self._popular([image for image in known if (image.last_s >= soon_since_s) is wants_soon] or known)

    def _popular(self, images: list[ShownImage]) -> ShownImage:
        cumulative = _popularity(len(images), self._law.zipf)
        return images[int(np.searchsorted(cumulative[:-1], self._rng.random() * cumulative[-1], side="right"))]

    def _new(self, share: float) -> ShownImage:
        image = ShownImage(self._shown, share, 0.0)
        self._classes[_class(share)].append(image)
        self._shown += 1
        return image


def _class(share: float) -> int:
    return min(int(share * CLASSES), CLASSES - 1)


@cache
def _popularity(count: int, exponent: float) -> NDArray[np.float64]:
    """Weights of the first ``count`` ranks, each added to those before it."""
    return np.cumsum(1.0 / np.arange(1, count + 1) ** exponent)
