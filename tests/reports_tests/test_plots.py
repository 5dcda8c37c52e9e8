from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation
from PIL import Image

from reports.pictures.files import file_names
from reports.pictures.looks import COLOURS, MARKERS
from reports.pictures.sweep_files import draw, picture
from reports.run.manifest import Manifest
from reports.summary.row import Row
from reports.sweep.pareto import find_points
from reports.sweep.recommend import Recommendation
from reports.sweep.trade_off import TradeOff
from workloads.errors import UsageError

Line = tuple[str, float | None, float | None]  # a runner's executed ratio and accuracy


def trade_off(lines: Sequence[Line], workloads: Sequence[str] = ("binding",), reference: str = "full") -> TradeOff:
    """Of runners whose label is ``family@ratio``, or the family alone."""
    told: dict[str, Any] = {"model": "builtin", "device": "cpu", "dtype": "bfloat16", "requests": 9, "failed": 0}
    told |= {"fallbacks": 0, "margin": 0.02, "alpha": 0.05, "ttft_speedup": 2.0}
    rows = [
        Row(
            runner=label,
            workload=workload,
            recompute_ratio=executed,
            accuracy=accuracy,
            accuracy_ci_low=None if accuracy is None else accuracy - 0.1,
            accuracy_ci_high=None if accuracy is None else min(1, accuracy + 0.1),
            **told,
        )
        for workload in workloads
        for label, executed, accuracy in lines
    ]
    ratios = {label: label.partition("@")[2] for label, *_ in lines}
    manifest = {
        "config": {"reference": reference},
        "workloads": {},
        "model": {"name": "builtin", "device": "cpu", "dtype": "bfloat16"},
        "runners": [{"label": label, "method": "any", "lossless": False} for label in {**ratios, reference: None}],
        "sweep": {
            "runners": {
                label: {"family": label.partition("@")[0], "ratio": float(ratio) if ratio else None}
                for label, ratio in ratios.items()
            }
        },
    }
    none = Recommendation(None, None, "")
    chosen = {workload: none for workload in workloads if lines}
    points = find_points(rows, Manifest.check(manifest, "here"))
    return TradeOff(reference, 0.02, 0.05, rows, points, {}, chosen, none, [])


CURVE: list[Line] = [("full", 1.0, 0.9), ("a@0", 0.0, 0.3), ("a@0.1", None, 0.6), ("a@0.5", 0.5, None), ("a@1", 1, 0.9)]


def drawn(panel: Axes) -> list[Any]:
    """The points of every family in a panel, in order: of the line that joins them, and of their marks."""
    lines = [line.get_xydata() for line in panel.lines if not str(line.get_label()).startswith("_child")]
    marks = [line.get_xydata() for line in panel.lines if line.get_marker() in MARKERS]
    np.testing.assert_array_equal(np.concatenate(lines), np.concatenate(marks))
    return lines


def test_every_workload_gets_a_small_picture(tmp_path: Path) -> None:
    files = draw(trade_off(CURVE, workloads=("binding", "own.jsonl")), tmp_path / "run" / "plots")
    assert [file.name for file in files] == ["accuracy-binding.png", "accuracy-own.jsonl.png"]
    for file in files:
        assert 10_000 < file.stat().st_size < 200_000
        with Image.open(file) as image:
            assert (image.format, image.width, image.height) == ("PNG", 1650, 720)


def test_a_picture_without_any_number_is_still_one(tmp_path: Path) -> None:
    (file,) = draw(trade_off([("full", None, None), ("a@0", None, None), ("a@1", None, None)]), tmp_path)
    assert file.stat().st_size > 10_000


def test_without_workloads_nothing_is_written(tmp_path: Path) -> None:
    assert draw(trade_off([]), tmp_path / "plots") == []
    assert list(tmp_path.iterdir()) == []


def test_undefined_values_leave_gaps_and_are_never_0() -> None:
    by_work, by_time = picture(trade_off(CURVE), "binding").axes
    nan = float("nan")
    assert drawn(by_work)[1].ravel().tolist() == pytest.approx([0, 30, nan, 60, 50, nan, 100, 90], nan_ok=True)
    assert drawn(by_time)[1].ravel().tolist() == pytest.approx([2, 30, 2, 60, 2, nan, 2, 90], nan_ok=True)


def test_the_accuracy_has_its_interval() -> None:
    by_work, _ = picture(trade_off([("a@0", 0.0, 0.3)]), "binding").axes
    (bars,) = by_work.collections
    assert isinstance(bars, LineCollection)
    assert bars.get_segments()[0].ravel().tolist() == pytest.approx([0, 20, 0, 40])


def test_the_reference_has_a_band_as_wide_as_the_margin() -> None:
    for panel in picture(trade_off(CURVE), "binding").axes:
        (band,) = panel.patches
        assert isinstance(band, Rectangle)
        assert (band.get_y(), band.get_height()) == pytest.approx((88, 2))
    for panel in picture(trade_off(CURVE, reference="other"), "binding").axes:
        assert list(panel.patches) == []


def test_only_what_is_optimal_is_numbered_and_joined_by_steps() -> None:
    _, by_time = picture(trade_off([("full", 1.0, 0.9), ("a@0", 0.0, 0.3)]), "binding").axes
    numbered = [(text.get_text(), text.xy) for text in by_time.texts if isinstance(text, Annotation)]
    assert numbered == [("1", (2, 90))]
    steps = [np.asarray(line.get_xydata()).tolist() for line in by_time.lines if line.get_drawstyle() == "steps-post"]
    assert steps == [[[2, 90]]]


def test_every_family_is_explained_and_looks_like_no_other_in_all_pictures() -> None:
    families = [f"f{number}" for number in range(20)]
    found = trade_off([(family, 0.5, 0.5) for family in families], workloads=("binding", "video"))
    keys = []
    for workload in ("binding", "video"):
        (legend,) = picture(found, workload).legends
        assert [text.get_text() for text in legend.get_texts()][:20] == families
        keys.append([(line.get_color(), line.get_marker()) for line in legend.get_lines()[:20]])
    assert len(set(keys[0])) == 20
    assert keys[0] == keys[1]
    assert len({(place % len(COLOURS), place % len(MARKERS)) for place in range(77)}) == 77


@pytest.mark.parametrize("name", ["$x_$", "$\\frac{", "_hidden", "中文", "a\nb"])
def test_names_are_drawn_as_they_are(name: str, tmp_path: Path) -> None:
    found = trade_off([(name, 0.5, 0.5)], workloads=(name,))
    (legend,) = picture(found, name).legends
    assert legend.get_texts()[0].get_text() == name
    (file,) = draw(found, tmp_path)
    assert file.parent == tmp_path


@given(st.lists(st.text(max_size=12) | st.sampled_from(["../../x", "/etc/passwd", "A", "a", "..", ""]), unique=True))
def test_no_name_escapes_the_folder_and_no_two_share_a_file(workloads: list[str]) -> None:
    names = file_names("accuracy", workloads)
    assert list(names) == workloads
    assert len({name.lower() for name in names.values()}) == len(workloads)
    for name in names.values():
        assert re.fullmatch(r"accuracy-[A-Za-z0-9._-]*\.png", name)
        assert Path(name).name == name


def test_the_name_of_a_long_file_is_cut() -> None:
    names = file_names("accuracy", ["x" * 300, "x" * 301])
    assert all(len(name) < 120 for name in names.values())


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "plots").write_text("in the way")
    with pytest.raises(UsageError, match=r"^cannot write .*accuracy-binding\.png: File exists; make room and draw it "):
        draw(trade_off(CURVE), tmp_path / "plots")


def test_drawing_leaves_no_state_behind() -> None:
    """The object-oriented interface alone: pyplot would pick a backend and keep figures."""
    code = "import sys, reports.pictures.sweep_files; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
