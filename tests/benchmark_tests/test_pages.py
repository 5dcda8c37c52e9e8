"""Pages of as many vision tokens as asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from runners.models.shapes.catalogue import find_shape
from workloads.base import StreamOptions
from workloads.records import media_in
from workloads.registry import open_workload


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("pages")


@pytest.mark.parametrize("name", ["qwen2.5-vl-7b", "qwen3-vl-8b"])
@pytest.mark.parametrize("tokens", [100, 1000, 1200])
def test_an_image_processor_makes_that_many_tokens_of_a_page(script: ModuleType, name: str, tokens: int) -> None:
    settings = dict(find_shape(name).family.image_processor)
    processor = getattr(transformers, settings.pop("class"))(**settings)
    page = Image.new("RGB", script.page_size(f"shape:{name}", tokens))
    (grid,) = processor(images=page, return_tensors="pt")["image_grid_thw"]
    assert int(grid.prod()) // settings["merge_size"] ** 2 == tokens


@given(tokens=some.integers(1, 16384))
def test_a_page_is_compact_and_near_what_was_asked_for(script: ModuleType, tokens: int) -> None:
    rows, columns = script._token_grid(tokens)
    assert rows <= columns <= 2 * rows
    assert abs(rows * columns - tokens) <= max(2, tokens // 50)


@given(rows=some.integers(1, 100), data=some.data())
def test_a_page_is_exact_where_a_compact_one_can_be(script: ModuleType, rows: int, data: some.DataObject) -> None:
    tokens = rows * data.draw(some.integers(rows, 2 * rows))
    made, columns = script._token_grid(tokens)
    assert made * columns == tokens


@pytest.mark.parametrize(
    ("model", "tokens", "line"),
    [
        (
            "shape:qwen2.5-vl-7b",
            20_000,
            "a page of 20000 vision tokens has 15,680,000 pixels, and the image processor of 'shape:qwen2.5-vl-7b' "
            "scales those of less than 3,136 or more than 12,845,056: use 4 to 16384 tokens",
        ),
        ("builtin", 0, "a page of 0 vision tokens cannot be made: use at least 1"),
        (
            "shape:internvl3-1b",
            256,
            "model 'shape:internvl3-1b' is no Qwen-VL: what a page costs does not follow from its pixels alone",
        ),
        ("shape:qwen3-vl-8", 256, "unknown shape 'qwen3-vl-8': did you mean 'qwen3-vl-8b'?"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, tokens: int, line: str
) -> None:
    folder = tmp_path / "pages"
    assert script.main([str(folder), "--model", model, "--tokens", str(tokens)]) == 2
    assert capsys.readouterr() == ("", f"pages.py: {line}\n")
    assert not folder.exists()


@pytest.mark.parametrize(
    "sizes", [["--tokens", "9"], ["--model", "builtin"], ["--model=a", "--tokens=9", "--pixels=8x8"]]
)
def test_a_size_is_told_in_one_way(script: ModuleType, tmp_path: Path, sizes: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        script.main([str(tmp_path / "pages"), *sizes])
    assert caught.value.code == 2


def test_pages_come_alone_and_then_together(script: ModuleType, tmp_path: Path) -> None:
    arguments = ["--model", "builtin", "--tokens", "12", "--pages", "3", "--requests", "2"]
    assert script.main([str(tmp_path), *arguments]) == 0
    conversations = list(open_workload(str(tmp_path / "requests.jsonl")).conversations(StreamOptions(99)))
    shown = [[item.data for item in media_in(conversation.prompt(0))] for conversation in conversations]
    assert [len(media) for media in shown] == [1, 1, 1, 3, 3]
    alone = {media[0] for media in shown[:3]}
    assert len(alone) == 3
    assert set(shown[3]) == set(shown[4]) == alone
    openings = {str(conversation.prompt(0)[-1].content[0]) for conversation in conversations}
    assert len(openings) == 5
    with Image.open(tmp_path / "page-0.png") as page:
        assert page.size == (64, 48)
