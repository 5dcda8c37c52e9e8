"""What is measured of a model as tables, files, a picture and a document."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import ttest_1samp

from reports.forms.profile_table import render
from reports.forms.table import WIDTH
from reports.profile import error_map, heat_map, sensitivity
from reports.profile import summary as profile_summary
from reports.profile.folder import ProfileFolder
from reports.profile.sensitivity import LayerCost
from runners.analysis.records import Observation, ProbeChoice
from workloads.errors import UsageError

COSTS = [LayerCost(0, 0.0, 0.0, 0.0), *(LayerCost(layer, 0.2 * layer, 0.1, 0.9) for layer in range(1, 4))]
PROBES = ProbeChoice(repaired=(0.5, 1.0, -0.25), recall=(0.4, 0.9, 0.1), added=((1, 0.9), (0, 0.95)))


@pytest.fixture
def observations(made_up: Any) -> list[Observation]:
    return [
        made_up("r0", seed=0, sizes=(6, 4)),
        made_up("r1", seed=1, sizes=(6,)),
        made_up("r0", "doc-qa", seed=2, sizes=(3, 5, 2), stale=False),
    ]


@pytest.fixture
def errors(observations: list[Observation]) -> pd.DataFrame:
    return error_map.to_frame(observations)


def test_the_error_map_has_a_line_for_every_request_layer_and_token(
    errors: pd.DataFrame, observations: list[Observation]
) -> None:
    assert list(errors) == list(error_map.COLUMNS)
    assert len(errors) == 4 * (10 + 6 + 10)
    line = errors[(errors["workload"] == "doc-qa") & (errors["layer"] == 2) & (errors["medium"] == 1)].iloc[3]
    measured = observations[2].errors
    assert line["token"] == 3
    assert line["relative_v"] == measured.relative_v[2, 6]
    assert line["delta_k"] == measured.delta_k[2, 6]
    assert line["cosine"] == measured.cosine[2, 6]
    assert line["computed"] == measured.computed[2, 6]
    assert line["kl"] == observations[2].kl


def test_what_is_kept_is_read_back(errors: pd.DataFrame, tmp_path: Path) -> None:
    errors.loc[3, "cosine"] = np.nan
    error_map.write(errors, tmp_path / "map.parquet")
    pd.testing.assert_frame_equal(error_map.read(tmp_path / "map.parquet"), errors)


def test_nothing_observed_is_an_empty_table() -> None:
    assert list(error_map.to_frame([])) == list(error_map.COLUMNS)


def test_every_request_counts_the_same_in_a_mean(errors: pd.DataFrame, observations: list[Observation]) -> None:
    expected = np.mean([seen.errors.relative_k.mean(axis=1) for seen in observations], axis=0)
    np.testing.assert_allclose(error_map.by_layer(errors)["relative_k"], expected, rtol=1e-6)
    first = [seen.errors.relative_v[:, seen.medium == 0].mean() for seen in observations]
    means = error_map.by_medium(errors)["relative_v"]
    assert means["binding", 0] == pytest.approx(np.mean(first[:2]), rel=1e-6)
    assert means["doc-qa", 0] == pytest.approx(first[2], rel=1e-6)


def test_a_mean_leaves_out_what_is_unknown(errors: pd.DataFrame) -> None:
    unknown = errors.assign(cosine=np.where(errors["layer"] == 1, np.nan, 0.5))
    assert error_map.by_layer(unknown)["cosine"].tolist() == pytest.approx([0.5, np.nan, 0.5, 0.5], nan_ok=True)


def test_costs_are_of_requests_with_stale_tokens(observations: list[Observation]) -> None:
    frame = sensitivity.to_frame(observations)
    assert list(frame) == list(sensitivity.COLUMNS)
    assert set(frame["request"]) == {"r0", "r1"}
    assert [cost.mean for cost in sensitivity.layer_costs(frame)] == pytest.approx([0, 0.1, 0.5, 0.4])


def test_the_interval_of_separate_requests_is_students(made_up: Any) -> None:
    values = [0.1, 0.9, 0.4, 0.2, 0.7]
    observed = [made_up(f"r{i}", cluster=f"c{i}", kl=(0, 0, value, 0)) for i, value in enumerate(values)]
    cost = sensitivity.layer_costs(sensitivity.to_frame(observed))[2]
    low, high = ttest_1samp(values, 0).confidence_interval()
    assert (cost.low, cost.high) == pytest.approx((low, high))
    assert (cost.lower, cost.upper) == (cost.low, cost.high)


def test_requests_of_one_cluster_are_one_piece_of_evidence(made_up: Any) -> None:
    values = [0.1, 0.9, 0.4]
    once = [made_up(f"r{i}", cluster=f"c{i}", kl=(0, 0, value, 0)) for i, value in enumerate(values)]
    often = [
        made_up(f"r{i}-{again}", cluster=f"c{i}", kl=(0, 0, value, 0))
        for again in range(4)
        for i, value in enumerate(values)
    ]
    few, many = (sensitivity.layer_costs(sensitivity.to_frame(seen))[2] for seen in (once, often))
    assert (many.low, many.high) == pytest.approx((few.low, few.high))
    assert few.low == 0, "a KL is never below 0"


def test_equal_cluster_names_of_two_workloads_are_two_clusters(made_up: Any) -> None:
    observed = [made_up("r0", workload, cluster="c0", kl=(0, 0, 0.1, 0)) for workload in ("a", "b")]
    (_, _, cost, _) = sensitivity.layer_costs(sensitivity.to_frame(observed))
    assert (cost.low, cost.high) == pytest.approx((0.1, 0.1))


def test_one_cluster_has_no_interval(made_up: Any) -> None:
    (_, _, cost, _) = sensitivity.layer_costs(sensitivity.to_frame([made_up()]))
    assert (cost.low, cost.high) == (None, None)
    assert (cost.lower, cost.upper) == (0.5, 0.5)


def test_a_layer_may_cost_the_upper_end_or_when_that_is_unknown_as_much_as_any() -> None:
    assert sensitivity.upper_ends(COSTS) == [0.0, 0.9, 0.9, 0.9]
    assert sensitivity.upper_ends([LayerCost(layer, 0.1 * layer, None, None) for layer in range(3)]) == [0.2] * 3


def test_rows_join_what_is_known_of_a_layer(errors: pd.DataFrame) -> None:
    rows = profile_summary.layer_rows(errors, COSTS, [0.08, 0.06, 0.04, 0.02], PROBES)
    assert [row["layer"] for row in rows] == [0, 1, 2, 3]
    assert [row["weight"] for row in rows] == pytest.approx([1, 0.75, 0.5, 0.25])
    assert [row["probe_repaired"] for row in rows] == [0.5, 1.0, -0.25, None]
    assert rows[2]["sensitivity_ci_high"] == 0.9
    assert profile_summary.probe_rows(PROBES) == [
        {"layers": [1], "repaired": 0.9},
        {"layers": [0, 1], "repaired": 0.95},
    ]


def test_media_are_counted_from_one_and_absent_ones_are_undefined(errors: pd.DataFrame) -> None:
    rows = profile_summary.medium_rows(errors)
    assert [row["medium"] for row in rows] == [1, 2, 3]
    assert rows[2]["binding"] is None
    assert rows[2]["doc-qa"] > 0
    assert [(row["workload"], row["requests"], row["kl"]) for row in profile_summary.request_rows(errors)] == [
        ("binding", 2, 1.0),
        ("doc-qa", 1, 1.0),
    ]


def rows_of(errors: pd.DataFrame, probes: ProbeChoice | None) -> dict[str, Any]:
    return {
        "requests": profile_summary.request_rows(errors),
        "layers": profile_summary.layer_rows(errors, COSTS, [0.05] * 4, probes),
        "media": profile_summary.medium_rows(errors),
        "probes": profile_summary.probe_rows(probes),
    }


def test_the_document_is_json_of_plain_numbers(errors: pd.DataFrame) -> None:
    unknown = errors.assign(cosine=np.float32(np.nan))
    text = profile_summary.to_json({"seed": 1}, {"probe_layers": (1,)}, **rows_of(unknown, None))
    document = json.loads(text)
    assert list(document) == ["schema", "settings", "profile", "requests", "layers", "media", "probes"]
    assert document["layers"][0]["cosine"] is None
    assert document["layers"][0]["probe_recall"] is None
    assert document["probes"] == []


@pytest.mark.parametrize("probes", [PROBES, None])
def test_tables_fit_their_width(errors: pd.DataFrame, probes: ProbeChoice | None) -> None:
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    console.print(render(**rows_of(errors, probes), budget=0.05))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "[0.1, 0.9]" in text
    assert ("0+1" in text) == (probes is not None)
    assert ("reuse cost nothing here" in text) == (probes is None)
    assert "…" not in text


def test_the_picture_shows_every_workload_and_the_costs(errors: pd.DataFrame) -> None:
    figure = heat_map.picture(errors, COSTS)
    titles = [panel.get_title() for panel in figure.axes]
    assert titles[:3] == ["binding", "doc-qa", "what staleness in one layer alone costs, with 95 % intervals"]
    binding, doc_qa = (np.asarray(panel.get_images()[0].get_array()) for panel in figure.axes[:2])
    means = error_map.by_token(errors[errors["workload"] == "doc-qa"])["relative_v"]
    assert binding.shape == (4, 10)
    assert doc_qa.shape == (4, 10)
    assert doc_qa[3, 3 + 5 + 1] == pytest.approx(means[3, 2, 1])
    borders = [float(np.asarray(line.get_xdata())[0]) for line in figure.axes[1].get_lines()]
    assert borders == [2.5, 7.5]


def test_a_map_without_any_error_can_be_drawn(errors: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "map.png"
    heat_map.draw(errors.assign(relative_v=0.0), [LayerCost(layer, 0.0, None, None) for layer in range(4)], file)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_folder_is_claimed_once_and_keeps_everything(
    errors: pd.DataFrame, observations: list[Observation], tmp_path: Path
) -> None:
    folder = ProfileFolder(tmp_path / "deep" / "profile")
    folder.claim()
    folder.keep(errors, sensitivity.to_frame(observations), COSTS)
    folder.profile.write_text("probe_layers: [0]\n")
    assert sorted(file.name for file in folder.path.iterdir()) == [
        "error_map.parquet",
        "error_map.png",
        "sensitivity.parquet",
        "vlcache.yaml",
    ]
    with pytest.raises(UsageError, match=r"already holds .*: choose another --output"):
        folder.claim()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*file: .*; make room or choose another --output"):
        ProfileFolder(tmp_path / "file").claim()
