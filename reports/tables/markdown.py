"""Render a table as Markdown, for a wiki or a comment."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reports.tables.table import Table
from workloads.printable import printable

LINK = re.compile(r"(https?|ftp|mailto|xmpp|www)([:.])", re.IGNORECASE)
MENTION = re.compile(r"((?<!\w)@|#(?=\d))")
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!])")


def grid(table: Table) -> str:
    """Head and rows."""
    head = [plain(column.title) for column in table.columns]
    rows = [head, ["---"] * len(head), *([plain(text) for text in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def bullets(lines: Iterable[str]) -> list[str]:
    """A list of texts as one paragraph; no paragraph where there is none."""
    listed = "\n".join(f"- {plain(line)}" for line in lines)
    return [listed] if listed else []


def plain(text: str) -> str:
    """A text that Markdown shows as it is, on one line: no tags, no links, and nobody on GitHub is mentioned."""
    shown = SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))
    shown = LINK.sub(r"\1\\\2", shown)
    return MENTION.sub(r"\1<!-- -->", shown)
