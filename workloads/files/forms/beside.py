"""Media in fields beside what is said: ``image``, ``images``, ``video`` and ``videos``, placed where texts say so.

A placeholder, ``<image>`` or ``<video>``, stands for the next of them. As in LLaVA, line breaks beside it belong to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workloads.files.attachments import Attachments
from workloads.files.forms.line import Line, SomeTexts
from workloads.reading import Text
from workloads.records import Media, MediaKind

KINDS: tuple[MediaKind, ...] = ("image", "video")
PLACEHOLDER = re.compile(r"\n?<(image|video)>\n?")


@dataclass(frozen=True)
class Slot:
    """The place of the next medium of a kind."""

    kind: MediaKind


@dataclass(frozen=True, kw_only=True)
class LineWithMedia(Line):
    """A line with media beside what is said; each field is a path or a list of them."""

    image: str | SomeTexts | None = None
    images: str | tuple[Text, ...] | None = None
    video: str | SomeTexts | None = None
    videos: str | tuple[Text, ...] | None = None

    def beside(self, kind: MediaKind) -> list[tuple[str, str]]:
        """The paths of a kind, each with the field that holds it; ValueError when two fields do."""
        one, several = getattr(self, kind), getattr(self, f"{kind}s")
        if one is not None and several is not None:
            raise ValueError(f"{kind} and {kind}s are both given: keep one")
        name, urls = (kind, one) if one is not None else (f"{kind}s", several or ())
        return [(name, urls)] if isinstance(urls, str) else [(f"{name}[{i}]", url) for i, url in enumerate(urls)]

    def load(self, files: Attachments) -> dict[MediaKind, list[Media]]:
        """The media beside what is said."""
        return {kind: [files.load(url, kind, name) for name, url in self.beside(kind)] for kind in KINDS}


def slots(text: str) -> Iterator[str | Slot]:
    """Texts and places of media in turn."""
    for index, piece in enumerate(PLACEHOLDER.split(text)):
        if index % 2:
            yield Slot("image" if piece == "image" else "video")
        elif piece:
            yield piece


def count(contents: Sequence[Sequence[object]], kind: MediaKind) -> int:
    """How many places of a kind there are."""
    return sum(part == Slot(kind) for content in contents for part in content)


def require_agreement(contents: Sequence[Sequence[object]], media: Mapping[MediaKind, Sequence[Media]]) -> None:
    """ValueError when there are more or fewer places than media."""
    for kind in KINDS:
        places, held = count(contents, kind), len(media[kind])
        if places != held:
            raise ValueError(f"{kind} names {held} files, but <{kind}> is said {places} times: they must agree")


def placed(texts: Sequence[str], media: Mapping[MediaKind, Sequence[Media]]) -> tuple[str | Media, ...]:
    """The texts with the media in the places that they keep, or after them; ValueError for more or fewer places."""
    content = tuple(piece for text in texts for piece in slots(text))
    kept = {kind: media[kind] if count([content], kind) else () for kind in KINDS}
    require_agreement([content], kept)
    after = [medium for kind in KINDS if not kept[kind] for medium in media[kind]]
    (filled,) = fill([content], kept)
    return (*(filled if any(kept.values()) else texts), *after)


def fill(
    contents: Sequence[Sequence[str | Media | Slot]], media: Mapping[MediaKind, Sequence[Media]]
) -> list[tuple[str | Media, ...]]:
    """The contents with the media in their places, in order."""
    left = {kind: iter(media[kind]) for kind in KINDS}
    return [
        tuple(next(left[part.kind]) if isinstance(part, Slot) else part for part in content) for content in contents
    ]
