"""Refuse texts that show pictures in words of their own: a question about a picture is never asked without it.

Placeholders of models and pipelines (``<|image_1|>``, ``<image 1>``, ``<image_placeholder>``) need as many media as
they name. Files named in a text (Qwen-VL's ``<img>a.png</img>``; Markdown and HTML whose file lies beside the requests)
and media within it as data are not read there. A question about HTML or Markdown itself stays a question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from workloads.errors import quoted
from workloads.files.attachments import Attachments
from workloads.files.data_uri import is_encoded_media
from workloads.files.forms.unread import is_media_uri
from workloads.records import Conversation

PLACEHOLDERS = {
    "image": re.compile(
        r"<\|?(?:vision_start\|><\|)?(?:image|img|picture|photo)[ _-]?(?:\d{1,3}|pad|placeholder|here|token)\|?>"
        r"|<\|(?:image|img|picture)\|>|<image>",
        re.IGNORECASE,
    ),
    "video": re.compile(
        r"<\|?(?:video|clip)[ _-]?(?:\d{1,3}|pad|placeholder|here|token)\|?>|<\|video\|>", re.IGNORECASE
    ),
}
OWN = ("<image>", "<video>")  # which the forms read themselves, or leave as texts
TAGGED_FILE = re.compile(r"<img>\s*(?P<path>[^<>\s][^<>\n]{0,1000}?)\s*</img>", re.IGNORECASE)
SHOWN = re.compile(
    r"!\[[^\[\]\n]{0,200}\]\(\s*<?(?P<markdown>[^\s()<>]{1,200000})>?(?:\s+[\"'][^\"'\n]{0,200}[\"'])?\s*\)"
    r"|<(?:img|image|video|source)\b[^<>]{0,1000}?\b(?:src|href)\s*=\s*[\"']?(?P<html>[^\s\"'<>]{1,200000})",
    re.IGNORECASE,
)
BASE64 = re.compile(r"[\w+/=\s-]+")
MOST_LOOKED_AT = 1_000_000  # characters of a text


def refuse_blind(conversation: Conversation, form: str, files: Attachments) -> None:
    """Check that the texts of the user show no picture or video that the line does not have as one.

    Raises:
        ValueError: a sentence that begins with the field ``form``.
    """
    named: dict[str, set[str]] = {kind: set() for kind in PLACEHOLDERS}
    media: list[str] = []
    for turn in conversation.turns:
        media += [medium.kind for medium in turn.media]
        for text in (part[:MOST_LOOKED_AT] for part in turn.content if isinstance(part, str)):
            for shown in _shown(text, files):
                raise ValueError(
                    f"{form} names media within a text, {quoted(shown)}, where they are not read: "
                    "put them into a field that is read (see docs/files.md)"
                )
            for kind, placeholder in PLACEHOLDERS.items():
                named[kind] |= {found[0] for found in placeholder.finditer(text)} - {*OWN}
                if len(named[kind]) > media.count(kind):
                    raise ValueError(
                        f"{form} keeps {len(named[kind])} places for {kind}s, such as {quoted(max(named[kind]))}, and "
                        f"there are {media.count(kind)}: put them into a field that is read (see docs/files.md)"
                    )


def _shown(text: str, files: Attachments) -> Iterator[str]:
    """What a text shows as a picture: data, or files."""
    if (is_encoded_media(text) and BASE64.fullmatch(text)) or (is_media_uri(text) and len(text.split()) == 1):
        yield text.strip()
    for tagged in TAGGED_FILE.finditer(text):
        yield tagged[0]
    for shown in SHOWN.finditer(text):
        target = shown["markdown"] or shown["html"]
        if is_media_uri(target) or files.holds(target):
            yield shown[0]
