from __future__ import annotations

import json

from reports.forms.json_document import to_json


def test_document_holds_manifest_and_summary_at_full_precision() -> None:
    document = json.loads(to_json({"config": {"seed": 1}}, [{"runner": "full", "accuracy": 1 / 3, "verdict": None}]))
    assert document == {
        "schema": 1,
        "manifest": {"config": {"seed": 1}},
        "summary": [{"runner": "full", "accuracy": 1 / 3, "verdict": None}],
    }


def test_what_is_no_finite_number_is_null() -> None:
    text = to_json({"sizes": (1, float("inf"))}, [{"kl_mean": float("nan")}])
    assert json.loads(text)["summary"] == [{"kl_mean": None}]
    assert json.loads(text)["manifest"] == {"sizes": [1, None]}
