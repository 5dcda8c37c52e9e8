from __future__ import annotations

import json

from reports.forms.json import summary_document


def test_document_holds_manifest_and_summary_at_full_precision() -> None:
    row = {"runner": "full", "accuracy": 1 / 3, "verdict": None}
    document = json.loads(summary_document({"config": {"seed": 1}}, [row]))
    assert document == {
        "schema": 1,
        "manifest": {"config": {"seed": 1}},
        "summary": [row],
    }


def test_what_is_no_finite_number_is_null() -> None:
    text = summary_document({"sizes": (1, float("inf"))}, [{"kl_mean": float("nan")}])
    assert json.loads(text)["summary"] == [{"kl_mean": None}]
    assert json.loads(text)["manifest"] == {"sizes": [1, None]}
