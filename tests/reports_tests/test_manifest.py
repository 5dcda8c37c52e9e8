from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reports.run.manifest import Manifest
from reports.run.new_manifest import build_manifest
from reports.run.resume import require_same, require_same_model
from workloads.errors import UsageError

RUN = Path("results/one")


def build() -> Manifest:
    config = {"reference": "full", "seed": 3, "workload": ["video"], "output": Path("x")}
    model = {"name": "builtin", "fingerprint": "f0", "profile": {}, "dtype": "float32", "device": "cpu", "threads": 2}
    return build_manifest(
        config, {"video": "abc"}, model, [{"label": "full", "method": "full", "lossless": True, "sizes": (1, 2)}]
    )


def test_a_manifest_says_what_ran_where_and_when() -> None:
    manifest = build().document
    assert manifest["schema"] == 1
    assert manifest["seed"] == 3
    assert manifest["workloads"] == {"video": "abc"}
    assert manifest["model"]["threads"] == 2
    assert datetime.fromisoformat(manifest["created"]).utcoffset() == timedelta(0)
    environment = manifest["environment"]
    assert environment["libraries"]["torch"]
    assert set(environment) == {"python", "platform", "machine", "cpus", "libraries", "git_commit"}


def test_a_manifest_is_as_json_reads_it_back() -> None:
    manifest = build().document
    assert manifest == json.loads(json.dumps(manifest))
    assert manifest["config"]["output"] == "x"


def test_equal_settings_may_be_continued() -> None:
    require_same(RUN, "config", {"samples": 4, "workload": ["a"]}, {"workload": ("a",), "samples": 4})


@pytest.mark.parametrize(
    ("saved", "now", "message"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, r"config\.b was 2 and is now 3"),
        ({"a": ["x"]}, {"a": ["x", "y"]}, r'config\.a was \["x"\] and is now \["x", "y"\]'),
        ({"a": 1}, {"a": 1, "new": "c"}, r'config\.new was null and is now "c"'),
    ],
)
def test_the_first_difference_is_named_with_both_values(saved: Any, now: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^cannot resume {RUN}: {message}; use the same options, or start"):
        require_same(RUN, "config", saved, now)


def test_only_the_identity_of_a_model_has_to_be_the_same() -> None:
    saved = build().document["model"]
    require_same_model(RUN, saved, saved | {"threads": 8, "name": "renamed"})
    with pytest.raises(UsageError, match=r'model\.fingerprint was "f0" and is now "f1"'):
        require_same_model(RUN, saved, saved | {"fingerprint": "f1"})
