from __future__ import annotations

import json
from typing import Any

from reports.forms.json import document, summary_document
from reports.run.manifest import Manifest
from reports.summary.row import COLUMNS, Row


def test_document_holds_manifest_and_summary_at_full_precision(manifest: dict[str, Any]) -> None:
    row = Row(
        runner="full", workload="binding", model="builtin", device="cpu", dtype="float32", requests=3, failed=0,
        fallbacks=0, accuracy=1 / 3, margin=0.02, alpha=0.05,
    )  # fmt: skip
    printed = json.loads(summary_document(Manifest.check(manifest, "here"), [row]))
    assert list(printed) == ["schema", "manifest", "summary"]
    assert (printed["schema"], printed["manifest"]) == (1, manifest)
    (told,) = printed["summary"]
    assert (told["runner"], told["accuracy"], told["verdict"]) == ("full", 1 / 3, None)
    assert list(told) == [column.name for column in COLUMNS]


def test_what_is_no_finite_number_is_null() -> None:
    text = document(manifest={"sizes": (1, float("inf"))}, summary=[{"kl_mean": float("nan")}])
    assert json.loads(text)["summary"] == [{"kl_mean": None}]
    assert json.loads(text)["manifest"] == {"sizes": [1, None]}
