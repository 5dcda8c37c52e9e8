from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reports.answers.answer import Word
from reports.answers.of_run import answers_of, overall_of
from reports.html.overlay import LEVELS, overlay
from reports.html.representatives import representatives
from reports.html.thumbnails import LONGEST_SIDE, Album, moments
from reports.pictures.labels import short
from reports.pictures.svg import Drawing
from reports.pictures.theme import COLOURS, spare_shade, style_sheet, variable_of
from reports.run.changed_answers import KeptMedium, content_name
from reports.runs import Run, read_runs
from reports.statistics.formatting import UNDEFINED, number
from reports.sweep.pareto import Point
from reports.sweep.recommend import Recommendation
from runners.records import ComputedMedium

sizes = st.integers(1, 6)


@given(st.data(), sizes, sizes, sizes)
def test_an_overlay_covers_just_the_computed_tokens(data: st.DataObject, frames: int, rows: int, columns: int) -> None:
    cells = frames * rows * columns
    depths = data.draw(st.lists(st.integers(0, 8), min_size=cells, max_size=cells))
    found = overlay(ComputedMedium.of((frames, rows, columns), depths), 8)
    assert found is not None
    assert (found.tokens, found.computed) == (cells, sum(depth > 0 for depth in depths))
    for frame, paths in zip(found.shown_frames, found.frames, strict=False):
        drawn = {cell: level for level, path in enumerate(paths) for cell in _cells(path)}
        area = depths[frame * rows * columns : (frame + 1) * rows * columns]
        assert set(drawn) == {(place // columns, place % columns) for place, depth in enumerate(area) if depth}
        assert all(0 <= level < LEVELS for level in drawn.values())
        deepest = [(place // columns, place % columns) for place, depth in enumerate(area) if depth == 8]
        assert all(drawn[cell] == LEVELS - 1 for cell in deepest)


def _cells(path: str) -> list[tuple[int, int]]:
    found = []
    for run in filter(None, path.split("z")):
        column, row = (int(number) for number in run[1:].partition("h")[0].split())
        length = int(run.partition("h")[2].partition("v")[0])
        found += [(row, column + step) for step in range(length)]
    assert len(found) == len(set(found))
    return found


@pytest.mark.parametrize(
    ("depths", "text"),
    [
        ([0, 0, 0, 0], "all 4 tokens reused"),
        ([8, 8, 8, 8], "all 4 tokens computed"),
        ([2, 2, 2, 2], "all 4 tokens computed, in 2.0 of 8 layers"),
        ([8, 0, 0, 0], "1 of 4 tokens computed (25.0%)"),
        ([8, 5, 0, 0], "2 of 4 tokens computed (50.0%), in 6.5 of 8 layers"),
    ],
)
def test_what_was_computed_in_words(depths: list[int], text: str) -> None:
    found = overlay(ComputedMedium.of((1, 2, 2), depths), 8)
    assert found is not None
    assert found.text == text
    assert (found.frames == ()) == (len(set(depths)) == 1)


@pytest.mark.parametrize("layers", ["x*3", "1*9999999999", "1*2", "-1*4,3*-2"])
def test_a_record_that_cannot_be_believed_has_no_cells(layers: str) -> None:
    found = overlay(ComputedMedium(1, 2, 3, layers), 8)
    assert found is None or found.frames == ()


def test_overlays_without_a_grid_tell_their_numbers() -> None:
    found = overlay(ComputedMedium.of((0, 0, 0), [4, 0, 0]), 4)
    assert found is not None
    assert (found.computed, found.tokens, found.frames) == (1, 3, ())


@given(st.integers(0, 1000))
def test_moments_spread_over_a_clip(frames: int) -> None:
    found = moments(frames)
    assert found[0] == 0
    assert found == sorted(set(found))
    assert found[-1] < max(frames, 1)
    assert len(found) == min(max(frames, 1), 4)


def saved(folder: Path, data: bytes) -> KeptMedium:
    name = content_name(data)
    (folder / "media").mkdir(exist_ok=True)
    (folder / "media" / name).write_bytes(data)
    return KeptMedium("image", "a picture", name)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def test_thumbnails_are_small_and_keep_their_shape(tmp_path: Path) -> None:
    medium = saved(tmp_path, encoded(Image.new("RGB", (2000, 500), "red"), "JPEG"))
    album = Album(tmp_path, "x")
    (found,) = album.of(medium, 1)
    assert found is not None
    assert (found.width, found.height) == (LONGEST_SIDE, LONGEST_SIDE // 4)
    assert found.address.startswith("data:image/webp;base64,")
    assert album.of(medium, 1) == (found,)
    assert len(album.thumbnails) == 1


def test_a_clip_shows_its_moments(tmp_path: Path) -> None:
    shades = [Image.new("RGB", (8, 8), (30 * place, 0, 0)) for place in range(8)]
    medium = saved(tmp_path, encoded(shades[0], "PNG", save_all=True, append_images=shades[1:]))
    found = Album(tmp_path, "x").of(medium, 4)
    assert len({shot.address for shot in found if shot is not None}) == 4


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(99), b"\x00\x00\x00\x18ftypmp42" + bytes(50)]
)
def test_what_cannot_be_decoded_is_counted(tmp_path: Path, data: bytes) -> None:
    album = Album(tmp_path, "x")
    assert album.of(saved(tmp_path, data), 1) == (None,)
    assert len(album.unreadable) == 1


def test_pictures_with_too_many_pixels_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.media.limits.MOST_PIXELS", 99)
    album = Album(tmp_path, "x")
    assert album.of(saved(tmp_path, encoded(Image.new("L", (10, 10)), "PNG")), 1) == (None,)
    assert len(album.unreadable) == 1


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(left: str, right: str) -> float:
    low, high = sorted((luminance(left), luminance(right)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("screen", ["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "raised"])
def test_texts_reach_the_contrast_that_they_need(screen: str, ground: str) -> None:
    for name in ("ink", "muted", "accent", "good", "bad"):
        assert contrast(getattr(COLOURS[name], screen), getattr(COLOURS[ground], screen)) >= 4.5, name


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_marks_reach_the_contrast_that_they_need(screen: str) -> None:
    decoration = {"ground", "raised", "line", "other", "band"}
    for name in set(COLOURS) - decoration:
        assert contrast(getattr(COLOURS[name], screen), getattr(COLOURS["ground"], screen)) >= 3, name


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_colours_of_parts_to_come_reach_the_contrast_that_they_need(screen: str) -> None:
    shades = [spare_shade(place) for place in range(40)]
    assert len(set(shades)) == len(shades)
    assert not {shade.light for shade in shades} & {shade.light for shade in COLOURS.values()}
    for shade in shades:
        assert contrast(getattr(shade, screen), getattr(COLOURS["ground"], screen)) >= 3, shade


def test_every_colour_of_a_drawing_follows_the_screen() -> None:
    assert len({shade.light for shade in COLOURS.values()}) == len(COLOURS)
    assert all(f"--{name}:{shade.dark};" in style_sheet() for name, shade in COLOURS.items())
    assert variable_of(COLOURS["ink"].light) == "var(--ink)"
    assert variable_of("#123456") is None


def test_drawings_hold_no_styles_and_say_what_their_marks_mean() -> None:
    drawing = Drawing(200, 100)
    (mark,) = drawing.axes().plot([1, 2], [3, 4], "o", color=COLOURS["accent"].light)
    drawing.tell(mark, 'a <mark> & "more" \x00')
    text = str(drawing.to_svg("one", "a picture <here>"))
    assert '<title>a &lt;mark&gt; &amp; "more" \N{REPLACEMENT CHARACTER}</title>' in text
    assert 'aria-label="a picture &lt;here&gt;"' in text
    assert "style" not in text
    assert "var(--accent)" in text
    assert COLOURS["accent"].light not in text


@given(st.text())
def test_labels_are_short_and_legible(text: str) -> None:
    assert len(short(text)) <= 24
    assert not any(ord(character) < 32 for character in short(text))


def test_undefined_numbers_are_dashes() -> None:
    assert [number(value, ".1f", 100) for value in (None, float("nan"), 0.5)] == [UNDEFINED, UNDEFINED, "50.0"]


def many(save_run: Callable[..., Path], lost: int = 0, **other: Any) -> Run:
    """The run with every request as a cluster of its own, forty times over; ``lost`` of each 8 answers wrong."""
    folder = save_run("many", **other)
    (run,) = read_runs([folder], 0.02, 0.05)
    grown = []
    for copy in range(40):
        for record in run.records:
            request = f"{record.request}-{copy}"
            wrong = record.runner != "full" and copy % 8 < lost
            key = f"{record.workload}/{request}/{record.runner}"
            changed = replace(record, request=request, key=key, cluster_id=request)
            grown.append(replace(changed, score=float(not wrong), agrees=not wrong) if record.timing else changed)
    lines = [f"{json.dumps(record.to_json())}\n" for record in grown]
    (folder / "records.jsonl").write_text("".join(lines))
    (run,) = read_runs([folder], 0.02, 0.05)
    return run


def test_too_few_requests_are_answered_with_how_many_would_do(run: Run) -> None:
    found = answers_of(run)[0]
    assert (found.word, found.reuse) == (Word.NOT_YET, None)
    assert found.nearest is not None
    assert found.nearest.runner == "vlcache@ratio=0.5"
    assert found.nearest.separate_needed is not None
    assert f"about {found.nearest.separate_needed:,} requests that share no media would show" in found.sentence
    assert "Free of any risk: prefix-cache, 2.0 times as fast." in found.sentence
    total = overall_of(run)
    assert total is not None
    assert total.word is Word.NOT_YET


def test_what_is_proven_is_answered_with_yes(save_run: Callable[..., Path]) -> None:
    run = many(save_run)
    found = answers_of(run)[0]
    assert found.reuse is not None
    assert (found.word, found.reuse.runner, found.reuse.speedup) == (Word.YES, "vlcache@ratio=0", 8.0)
    assert "vlcache@ratio=0 is 8.0 times as fast as full and loses less than 1." in found.sentence
    total = overall_of(run)
    assert total is not None
    assert total.gain is not None
    assert (total.word, total.gain.runner) == (Word.YES, "vlcache@ratio=0")


def test_losses_are_answered_with_no(save_run: Callable[..., Path]) -> None:
    found = answers_of(many(save_run, lost=3))[0]
    assert (found.word, found.reuse) == (Word.NO, None)
    assert [loss.runner for loss in found.unsafe] == ["vlcache@ratio=0", "vlcache@ratio=0.5"]
    assert "Every runner that may change answers loses some" in found.sentence


def test_without_gold_answers_times_are_all_there_is(save_run: Callable[..., Path]) -> None:
    folder = save_run(each=lambda record: replace(record, score=None))
    (run,) = read_runs([folder], 0.02, 0.05)
    found = answers_of(run)[0]
    assert (found.word, found.reuse) == (Word.TIMES_ONLY, None)
    assert found.nearest is not None
    assert (found.nearest.runner, found.nearest.speedup) == ("vlcache@ratio=0", 8.0)


def test_of_every_family_one_runner_stands_for_all(run: Run) -> None:
    points = run.trade_off.of("binding")
    nobody = Recommendation(None, None, "none")
    assert representatives(points, nobody) == ["full", "prefix-cache", "vlcache@ratio=0.5"]
    chosen = Recommendation("vlcache@ratio=0", 8.0, "it is")
    assert representatives(points, chosen) == ["full", "prefix-cache", "vlcache@ratio=0"]
    assert len(representatives([_named(point, place) for place in range(50) for point in points[:1]], nobody)) == 20


def _named(point: Point, place: int) -> Point:
    return replace(point, family=f"f{place}", runner=f"f{place}")
