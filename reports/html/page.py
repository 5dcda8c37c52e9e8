"""Saved runs as ONE HTML file: it asks the network for nothing, and runs no script and shows no style but its own."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.answers.answer import Word
from reports.compare import COMPARED, compare
from reports.html import pareto_chart, times
from reports.html.error_chart import error_parts
from reports.html.section import section
from reports.pictures.labels import legible
from reports.pictures.theme import style_sheet
from reports.profile.saved import Profile
from reports.runs import Run
from reports.summary.row import COLUMNS, TABLE_COLUMNS
from reports.tables.cells import cell, difference, one_line, plain_number

LONGEST_MANIFEST = 200_000
MARKS = {
    "non-inferior": ("good", "✓", "ok"),
    "inferior": ("bad", "✕", "worse"),
    "undecided": ("open", "?", "open"),
    "exact": ("good", "=", "exact"),
    "broken": ("bad", "!", "broken"),
}
WORDS = {
    Word.YES: ("good", "✓"),
    Word.BOUNDED: ("good", "≤"),
    Word.NO: ("bad", "✕"),
    Word.NOT_YET: ("open", "?"),
    Word.TIMES_ONLY: ("open", "·"),
}


def render(runs: Sequence[Run], profile: Profile | None, with_media: bool) -> str:
    """The whole page.

    Args:
        runs: one, or several to compare with the first.
        profile: whose error map is shown.
        with_media: whether pictures of the runs' media are shown.
    """
    style, script = style_sheet() + _own("page.css"), _own("page.js")
    environment = Environment(
        loader=PackageLoader("reports.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_legible,
    )
    environment.filters |= {"plain_json": _json, "heading": one_line, "label": label}
    environment.globals |= {"cell": cell, "plain_number": plain_number, "difference": difference, **_words()}
    return environment.get_template("page.html.j2").render(
        style=style,
        script=script,
        policy=_policy(style, script),
        sections=[section(run, f"r{place}", with_media) for place, run in enumerate(runs)],
        comparison=compare(runs) if len(runs) > 1 else None,
        profile=profile,
        errors=error_parts(profile, "profile") if profile else [],
    )


def label(runner: str) -> Markup:
    """A runner's label that may be broken before its options and between them."""
    return Markup(re.sub(r"([@,])", r"<wbr>\1", str(escape(legible(runner)))))


def _words() -> dict[str, Any]:
    return {
        "columns": TABLE_COLUMNS,
        "compared": [column for name in COMPARED for column in COLUMNS if column.name == name],
        "marks": MARKS,
        "words": WORDS,
        "ratio_key": pareto_chart.key(),
        "parts_key": times.key(),
    }


def _legible(value: Any) -> Any:
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(style: str, script: str) -> str:
    """A content security policy that allows this style sheet, this script and embedded pictures, and nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _own(name: str) -> str:
    return (files("reports.html") / "templates" / name).read_text(encoding="utf-8")


def _json(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if len(text) <= LONGEST_MANIFEST else f"{text[:LONGEST_MANIFEST]}\n..."
