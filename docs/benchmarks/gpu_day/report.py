"""The report of all parts: one Markdown file for ``docs/benchmarks/``, and the same as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gpu_day.ledger import Ledger
from gpu_day.parts import Part
from gpu_day.plan import Planned

SHOWN = 30  # lines of a failed part's errors


def document(
    about: Mapping[str, Any], parts: Sequence[Part], ledger: Ledger, left_out: Sequence[Planned]
) -> dict[str, Any]:
    """All that is known, as plain types: what it was measured on, every part's end and output, what was left out."""
    told = []
    for part in parts:
        result = ledger.result(part)
        if result is not None:
            planned = {"shows": part.shows, "estimate_s": part.estimate_s, "limit_s": part.limit_s}
            told.append({**asdict(result), **planned, "output": _read(ledger, part, ".out")})
    return {"schema": 1, **about, "parts": told, "left_out": [{"name": i.part.name, "why": i.reason} for i in left_out]}


def markdown(document: Mapping[str, Any], parts: Sequence[Part], ledger: Ledger) -> str:
    """The report for people."""
    told = {part["name"]: part for part in document["parts"]}
    versions = ", ".join(f"{name} {found}" for name, found in document["versions"].items() if found)
    measured_on = [
        f"device: {document['device']}, driver {document['driver'] or '-'}",
        f"versions: {versions}",
        f"source: {document['source'] or 'unknown'}",
        f"begun: {document['begun']}",
        f"command: `{document['command']}`",
    ]
    head = [
        "# Rehearsed on a CPU" if document["rehearsal"] else "# Measured on a GPU",
        "\n".join(f"- {fact}" for fact in measured_on),
        "## Parts",
        summary(document),
    ]
    return (
        "\n\n".join([*head, *(_section(part, told[part.name], ledger) for part in parts if part.name in told)]) + "\n"
    )


def summary(document: Mapping[str, Any]) -> str:
    """How every part ended, and why one was left out, as a Markdown table."""
    lines = [f"| {part['name']} | {part['ended']} | {part['seconds']:.0f} |" for part in document["parts"]]
    lines += [f"| {part['name']} | {part['why']} | - |" for part in document["left_out"]]
    return "\n".join(["| part | ended | seconds |", "| --- | --- | --- |", *lines])


def failure(part: Part, ledger: Ledger, ended: str) -> str:
    """Why a part did not pass: the end of its errors."""
    last = "\n".join(_read(ledger, part, ".err").splitlines()[-SHOWN:])
    return f"**{part.name}: {ended}**\n\n```text\n{last}\n```"


def _section(part: Part, told: Mapping[str, Any], ledger: Ledger) -> str:
    output = re.sub(r"(?m)^## ", "### ", told["output"].strip("\n"))
    shown = output if part.markdown else f"```text\n{output}\n```"
    pieces = [f"## {part.name}: {part.shows}", shown]
    if told["status"] != "passed":
        pieces.append(failure(part, ledger, told["ended"]))
    return "\n\n".join(pieces)


def _read(ledger: Ledger, part: Part, suffix: str) -> str:
    path = ledger.path(part, suffix)
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""
