"""Escape characters that a terminal, a log or a page would obey instead of showing them."""

from __future__ import annotations

import re

OBEYED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f"  # controls of C0 and C1, but for line feeds
    "\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # unseen, and directions of text
    "\u2028\u2029\ud800-\udfff\ufffe\uffff"  # separators of lines and paragraphs, halves of characters, none at all
    "\U000e0000-\U000e007f]"  # tags
)
"""Characters that are obeyed or not seen. The two joiners, which scripts and emoji need, are not among them."""

LINE_COMMAND = re.compile(r"^([^\S\n]*:):", re.MULTILINE)
"""GitHub's workflow commands: a line that begins with two colons after white space."""

OTHER_COMMAND = re.compile(r"(##\w{0,20})\[")
"""Commands of GitHub's early runners and of Azure's, anywhere in a line: ``##[error]``, ``##vso[...]``."""


def printable(text: str) -> str:
    r"""A text with escapes such as ``\x1b`` in place of characters that would be obeyed or not be seen.

    Line feeds stay, a carriage return before one goes, and a tab becomes a blank.
    """
    if text.isascii() and text.isprintable():
        return text
    return OBEYED.sub(_escaped, text.replace("\r\n", "\n").replace("\t", " "))


def on_one_line(text: str) -> str:
    """The same without line feeds."""
    return printable(text).replace("\n", r"\n")


def uncommanding(text: str, before: str = "") -> str:
    """A text without commands to a CI service: the last character of what begins one is escaped.

    Args:
        before: what stands on the same line before the text; it has no command in it.
    """
    whole = LINE_COMMAND.sub(r"\1\\x3a", before + text)
    return OTHER_COMMAND.sub(r"\1\\x5b", whole)[len(before) :]


def json_printable(document: str) -> str:
    r"""A JSON document with JSON's own escapes in place of the same characters and of commands: its data stay equal."""
    shown = OBEYED.sub(_json_escaped, document)
    return OTHER_COMMAND.sub(r"\1\\u005b", shown)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _json_escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))
