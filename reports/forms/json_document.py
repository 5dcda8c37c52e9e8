"""The documents that ``--json`` and ``vlcache report --format json`` print."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from reports.run.manifest import Manifest
from reports.summary.row import Row

SCHEMA = 1


def to_json(manifest: Manifest, summary: Sequence[Row], **parts: Any) -> str:
    """One JSON document of full precision, with other ``parts`` behind; what is not a finite number is null."""
    return document(manifest=manifest.document, summary=[row.to_json() for row in summary], **parts)


def document(**parts: Any) -> str:
    """One JSON document of full precision with these ``parts``; what is not a finite number is null."""
    return json.dumps(_finite({"schema": SCHEMA, **parts}), indent=2, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
