"""Data sets that others made: nothing outside their folder is read, and nothing that does not fit into memory."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import IterableDataset
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workloads.base import StreamOptions
from workloads.datasets import bounds, media
from workloads.datasets.case import RowReader
from workloads.datasets.dataset import open_dataset
from workloads.datasets.description import DatasetFile, Fields, read_dataset_file
from workloads.datasets.media import MediaFiles
from workloads.datasets.pages import BYTE_ARRAY, DELTA_BYTE_ARRAY, read_page, read_row_groups
from workloads.datasets.row_files import RowFiles
from workloads.datasets.rows import Table, windows
from workloads.datasets.sources import Sources
from workloads.errors import UsageError
from workloads.records import Turn
from workloads.registry import open_workload
from workloads.scoring import METRICS

MINE = {"description": "Mine.", "path": "here", "split": "test", "fields": {"images": "image", "question": "question"}}
PNG = b"\x89PNG\r\n\x1a\n"
ROW = {"image": "0.png", "question": "What?"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["image", "../x", "/etc", "\x1b[31m\a", "{image}", "{media}", 10**4000, "A", "[" * 9000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., str]:
    """What is said of a data set with these changes to its description; it lies in the folder ``mine/here``."""
    here = tmp_path / "mine" / "here"
    here.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for folder in (here, tmp_path / "outside"):
        (folder / "test.jsonl").write_text(json.dumps(ROW) + "\n")
        (folder / "0.png").write_bytes(PNG)

    def told(**changes: Any) -> str:
        file = tmp_path / "mine" / "mine.yaml"
        file.write_text(json.dumps(MINE | changes))
        with pytest.raises(UsageError) as caught:
            list(open_workload(str(file), Sources(recur="none")).conversations(StreamOptions(5)))
        assert str(caught.value).isprintable()
        return str(caught.value)

    return told


@pytest.mark.parametrize("field", ["path", "files", "config", "split", "revision", "archives"])
@pytest.mark.parametrize(
    "place", ["../outside", "/etc", "a/../../outside/*", "..", "C:/x", "a\\..\\..\\b", "a\0b", "a\x1b[1m"]
)
def test_a_description_names_nothing_outside_its_folder(told: Callable[..., str], field: str, place: str) -> None:
    said = told(**{field: [place] if field == "archives" else place})
    assert f"mine.yaml: {field} must " in said


def test_links_do_not_lead_out(told: Callable[..., str], tmp_path: Path) -> None:
    here = tmp_path / "mine" / "here"
    (here / "away.jsonl").symlink_to(tmp_path / "outside" / "test.jsonl")
    (here / "deep").symlink_to(tmp_path / "outside")
    (tmp_path / "mine" / "away").symlink_to(tmp_path / "outside")
    for files in ("away.jsonl", "a*.jsonl", "deep/*.jsonl", "*/test.jsonl"):
        assert "is a link that leads out of the data set's folder; copy the file there" in told(files=files)
    assert "path 'away' leads out of its folder: give --dataset-path DIR" in told(path="away")
    (here / "0.png").unlink()
    (here / "0.png").symlink_to(tmp_path / "outside" / "0.png")
    assert "'0.png' cannot be read: it leads out of the data set" in told()


def archive_of_picture(path: Path) -> None:
    """A zip archive that holds the picture of the row."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.png", PNG)


@pytest.mark.parametrize("pattern", ["away.zip", "*.zip", "deep/*.zip", "*/*.zip", "deep/away.zip"])
def test_links_to_archives_do_not_lead_out(told: Callable[..., str], tmp_path: Path, pattern: str) -> None:
    here = tmp_path / "mine" / "here"
    archive_of_picture(tmp_path / "outside" / "away.zip")
    (here / "0.png").unlink()
    (here / "away.zip").symlink_to(tmp_path / "outside" / "away.zip")
    (here / "deep").symlink_to(tmp_path / "outside")
    assert "is a link that leads out of the data set's folder" in told(archives=pattern)


def test_links_to_archives_may_stay_inside(told: Callable[..., str], tmp_path: Path) -> None:
    here = tmp_path / "mine" / "here"
    (here / "0.png").unlink()
    archive_of_picture(here / "packed")
    (here / "link.zip").symlink_to(here / "packed")
    (found,) = open_workload(described(tmp_path), Sources(recur="none")).conversations(StreamOptions(5))
    assert found.turns[0].media[0].data == PNG


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("place", ["a.zip", "0.png"])
def test_pipes_in_place_of_media_and_archives_are_not_read(
    told: Callable[..., str], tmp_path: Path, place: str
) -> None:
    here = tmp_path / "mine" / "here"
    (here / "0.png").unlink()
    os.mkfifo(here / place)
    assert "'0.png' cannot be read: there is no such file in the data set, nor is it in *.zip" in told(archives="*.zip")


def test_a_folder_that_the_working_folder_has_by_chance_is_not_read(
    told: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "path 'outside' is in the working folder, and not beside the data set's file" in told(path="outside")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_devices_and_endless_files_are_not_read(told: Callable[..., str], tmp_path: Path) -> None:
    here = tmp_path / "mine" / "here"
    os.mkfifo(here / "pipe.jsonl")
    (here / "zero.jsonl").symlink_to("/dev/zero")
    for name in ("line.jsonl", "list.json", "line.csv"):
        (here / name).write_bytes(b"[" if name == "list.json" else b"{")
        os.truncate(here / name, 1 << 36)
    assert f"{here} has no pipe.jsonl" in told(files="pipe.jsonl")
    assert f"{here} has no zero.jsonl" in told(files="zero.jsonl")
    assert f"{here}/line.jsonl has a line of more than 64 MiB" in told(files="line.jsonl")
    assert f"{here}/list.json is a list of more than 256 MiB: make it one object a line" in told(files="list.json")
    assert f"{here}/line.csv has a line of more than 64 MiB" in told(files="line.csv")
    with pytest.raises(UsageError, match="it is a device"):
        open_dataset("zero", Path("/dev/zero"), Sources())
    os.truncate(tmp_path / "mine" / "mine.yaml", 1 << 36)
    with pytest.raises(UsageError, match="is larger than 1 MiB: that is no data-set file"):
        read_dataset_file(tmp_path / "mine" / "mine.yaml")


def require_bearable(path: Path) -> None:
    """Check one file of rows."""
    RowFiles([path]).require_bearable_first()


def test_long_lines_are_found_wherever_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LONGEST_ROW", 1000)
    monkeypatch.setattr(bounds, "BLOCK", 300)
    path = tmp_path / "x.jsonl"
    for lengths, fits in (([999] * 9, True), ([10, 1000, 10], True), ([10] * 99 + [1001], False), ([1200, 1], False)):
        path.write_bytes(b"\n".join(b"x" * length for length in lengths))
        if fits:
            require_bearable(path)
        else:
            with pytest.raises(UsageError, match=r"x\.jsonl has a line of more than 0 MiB"):
                require_bearable(path)


BIG = pa.DictionaryArray.from_arrays(pa.array([0] * 600, pa.int32()), pa.array(["x" * 1_000_000]))
BOMBS: dict[str, tuple[pa.Array, dict[str, Any]]] = {
    "repeated text": (BIG, {}),
    "repeated text in lists": (pa.ListArray.from_arrays(pa.array([0, 300, 600], pa.int32()), BIG), {}),
    "repeated bytes in structures": (pa.StructArray.from_arrays([BIG], ["bytes"]), {}),
    "many numbers": (pa.array([0] * 4_000_000, pa.int64()), {}),
    "long lists": (pa.ListArray.from_arrays(pa.array([0, 4_000_000], pa.int32()), pa.array([0] * 4_000_000)), {}),
    "one large page": (pa.array(["x" * 20_000_000]), {"use_dictionary": False}),
    "texts that begin alike": (
        pa.array(["x" * 100_000 + str(number) for number in range(400)]),
        {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"},
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_parquet_file_that_swells_is_not_read(
    told: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(bounds, "ALWAYS_BEARABLE", 16 << 20)
    column, options = BOMBS[kind]
    path = tmp_path / "mine" / "here" / "test.parquet"
    options = {"dictionary_pagesize_limit": 1 << 30, "row_group_size": 1 << 30, **options}
    pq.write_table(pa.table({"image": column}), path, compression="zstd", **options)
    assert path.stat().st_size < 200_000
    started = pa.total_allocated_bytes()
    assert "has a row group that takes more than 16 MiB of memory (number 0): write it with fewer rows" in told()
    assert pa.default_memory_pool().bytes_allocated() - started < 16 << 20


def test_sizes_are_those_of_the_pages_and_not_what_the_metadata_say(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"a": ["y" * 100_000]}), path, compression="zstd", use_dictionary=False, write_statistics=False
    )
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data = path.read_bytes()
    with path.open("rb") as file:
        page = read_page(file, column.data_page_offset)
    assert page.uncompressed > 100_000
    assert page.end == column.data_page_offset + column.total_compressed_size
    size = _zigzag(page.uncompressed)
    assert data.count(size) >= 1
    path.write_bytes(data.replace(size, _zigzag(2**31 - 1)[: len(size)].ljust(len(size), b"\xff"), 1))
    with pytest.raises(UsageError):
        require_bearable(path)


@pytest.mark.parametrize("bomb", [0, 1], ids=["first shard", "second shard"])
def test_a_parquet_file_on_the_hub_that_swells_is_not_read(monkeypatch: pytest.MonkeyPatch, bomb: int) -> None:
    monkeypatch.setattr(bounds, "ALWAYS_BEARABLE", 16 << 20)
    hub = MemoryFileSystem()
    monkeypatch.setattr("huggingface_hub.HfFileSystem", lambda: hub)
    places = [f"hf://datasets/me/mine@main/{shard}.parquet" for shard in range(2)]
    for shard, place in enumerate(places):
        with io.BytesIO() as file:
            column, options = BOMBS["many numbers"] if shard == bomb else (pa.array([1]), {})
            pq.write_table(pa.table({"image": column}), file, compression="zstd", row_group_size=1 << 30, **options)
            hub.pipe(place.removeprefix("hf:/"), file.getvalue())

    rows = IterableDataset.from_generator(
        lambda shards: ({"shard": shard} for shard in shards), gen_kwargs={"shards": [0, 1]}
    )
    builder = Mock(as_streaming_dataset=Mock(return_value=rows), config=Mock(data_files={"test": places}))
    monkeypatch.setattr("datasets.load_dataset_builder", lambda *_, **__: builder)
    found = windows(Table("me/mine", "test"), None, 1, Mock(permutation=range))
    assert [next(found).rows[0].fields for _ in range(bomb)] == [{"shard": 0}] * bomb
    with pytest.raises(UsageError) as caught:
        next(found)
    assert builder.as_streaming_dataset.called == bool(bomb), "the schema is read from the first file"
    assert str(caught.value) == (
        f"{places[bomb]} has a row group that takes more than 16 MiB of memory (number 0): "
        "write it with fewer rows in each"
    )


def _zigzag(number: int) -> bytes:
    """A whole number as Thrift's compact protocol has it."""
    left, encoded = number << 1, b""
    while left > 0x7F:
        encoded += struct.pack("B", left & 0x7F | 0x80)
        left >>= 7
    return encoded + struct.pack("B", left)


CELLS = st.none() | st.text(max_size=20) | st.sampled_from(["same", "x" * 500])


@given(
    texts=st.lists(CELLS, min_size=1, max_size=40),
    numbers=st.lists(st.integers(-5, 5) | st.none(), min_size=40, max_size=40),
    lists=st.lists(st.lists(CELLS, max_size=3) | st.none(), min_size=40, max_size=40),
    group=st.integers(1, 50),
    version=st.sampled_from(["1.0", "2.0"]),
    codec=st.sampled_from(["none", "snappy", "zstd", "gzip"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_honest_parquet_file_is_bearable(
    tmp_path: Path, texts: list[Any], numbers: list[Any], lists: list[Any], group: int, version: Any, codec: str
) -> None:
    rows = len(texts)
    table = pa.table(
        {
            "text": pa.array(texts, pa.string()),
            "number": pa.array(numbers[:rows], pa.int32()),
            "list": pa.array(lists[:rows], pa.list_(pa.string())),
            "nothing": pa.nulls(rows),
            "media": pa.array([{"bytes": b"x", "path": None}] * rows),
        }
    )
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, compression=codec, row_group_size=group, data_page_version=version, data_page_size=64)
    require_bearable(path)
    metadata = pq.ParquetFile(path).metadata
    with path.open("rb") as file:
        for number, columns in enumerate(read_row_groups(footer_of(path))):
            assert len(columns) == metadata.num_columns
            for index, found in enumerate(columns):
                expected = metadata.row_group(number).column(index)
                assert (found.kind == BYTE_ARRAY) == (expected.physical_type == "BYTE_ARRAY")
                assert (DELTA_BYTE_ARRAY in found.encodings) == ("DELTA_BYTE_ARRAY" in expected.encodings)
                assert (found.path, found.values) == (expected.path_in_schema, expected.num_values)
                assert found.compressed == expected.total_compressed_size
                assert found.uncompressed == expected.total_uncompressed_size
                assert found.has_dictionary == expected.has_dictionary_page
                assert bounds._pages(file, found, 1 << 40) <= expected.total_uncompressed_size


def said_of(read: Callable[[Path], object], path: Path) -> str:
    """The error that a reader has for a file; nothing where it reads the file."""
    try:
        read(path)
    except UsageError as error:
        return str(error)
    return ""


def footer_of(path: Path) -> bytes:
    """The metadata at the end of a parquet file."""
    data = path.read_bytes()
    return data[-8 - int.from_bytes(data[-8:-4], "little") : -8]


@pytest.mark.parametrize("damage", [lambda byte: byte ^ 1, lambda byte: 0, lambda byte: byte ^ 0x7F])
def test_metadata_that_contradict_each_other_do_not_end_the_process(
    tmp_path: Path, damage: Callable[[int], int]
) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": ["x", "y"] * 20, "b": [[1], None] * 20}), path)
    data = path.read_bytes()
    for place in range(len(data) - 8 - len(footer_of(path)), len(data) - 8):
        path.write_bytes(data[:place] + bytes([damage(data[place])]) + data[place + 1 :])
        assert said_of(require_bearable, path).isprintable()


@given(place=st.floats(0, 1, exclude_max=True), new=st.binary(min_size=1, max_size=6))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_parquet_file_is_told_in_one_line(tmp_path: Path, place: float, new: bytes) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": ["x", "y"] * 20, "b": [[1], None] * 20}), path)
    data = bytearray(path.read_bytes())
    start = int(place * len(data))
    data[start : start + len(new)] = new
    path.write_bytes(data)
    assert said_of(require_bearable, path).isprintable()


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_value_in_any_field_of_a_description_is_read_or_told(tmp_path: Path, data: st.DataObject) -> None:
    description: dict[str, Any] = json.loads(json.dumps(MINE))
    place = description["fields"] if data.draw(st.booleans()) else description
    known = Fields.__dataclass_fields__ if place is not description else DatasetFile.__dataclass_fields__
    place[data.draw(st.sampled_from(sorted(known)) | st.text(max_size=5))] = data.draw(JSON)
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(description))
    said = said_of(read_dataset_file, path)
    assert said.isprintable()
    assert len(said) < len(str(path)) + 700


@pytest.mark.parametrize("field", ["window", "max_new_tokens", "most_media"])
@pytest.mark.parametrize("number", ["0", "-1", "1000001", "9" * 20, "0xffffffffffffffffffff", f"0b{'1' * 80}", "1e3"])
def test_numbers_of_a_description_are_bounded(tmp_path: Path, field: str, number: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(MINE).replace("{", f"{{{field}: {number}, ", 1))
    assert said_of(read_dataset_file, path).startswith(f"{path}: {field} must be ")
    path.write_text(json.dumps(MINE | {field: 1_000_000}))
    assert said_of(read_dataset_file, path) == ""


@pytest.mark.parametrize(
    "text",
    [
        f"samples: {'9' * 6000}",
        f"window: {'9' * 6000}",
        "description: 2020-13-45",
        "description: 2020-01-45T99:00:00Z",
        '"\\e[31mEVIL\\a": 1',
        "? [a, b]\n: 1",
        "[" * 5000,
        "a: &a [*a]",
        "x: !!python/object/apply:os.system [ls]",
        "description: \x1b[31m",
        "a: !!binary ä",
        '!!timestamp "abc": 1',
        "window: !!bool x",
        "window: !!int []",
    ],
)
def test_hostile_yaml_is_told_in_one_printable_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_dataset_file(path)
    assert str(caught.value).startswith(f"{path}")
    assert str(caught.value).isprintable()
    assert "NoneType" not in str(caught.value)


@pytest.mark.parametrize("field", ["choices", "answers"])
@pytest.mark.parametrize("text", ["[" + "1," * 40_000 + "]", "-" * 60_000 + "1", '"a"' * 30_000])
def test_lists_in_the_words_of_python_are_bounded(tmp_path: Path, field: str, text: str) -> None:
    fields = Fields(images=("image",), question="question", answers="answers", choices="choices")
    file = DatasetFile("Mine.", "here", "test", fields, prompt="{media}{question}{options}", python_answers=True)
    row = {"image": {"bytes": PNG}, "question": "?", "answers": "['a']", "choices": "['a', 'b']"}
    media = MediaFiles(Table("here", "test"), tmp_path)
    assert RowReader(file, row, media).turns("x", "y")[0].answer.accepted == ("a",)
    with pytest.raises(ValueError, match="is longer than 50000 characters: keep it as a list of the row"):
        RowReader(file, row | {field: text}, media).turns("x", "y")


@given(data=st.data(), metric=st.sampled_from(sorted(METRICS)))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_value_in_any_field_of_a_row_is_read_or_told(tmp_path: Path, data: st.DataObject, metric: str) -> None:
    names = ("image", "question", "answers", "choices", "talk", "id")
    fields = dict.fromkeys(names) | {name: data.draw(JSON) for name in data.draw(st.sets(st.sampled_from(names)))}
    talks = data.draw(st.booleans())
    own = Fields(id="id", images=("image",), talk="talk") if talks else Fields(
        id="id", images=("image",), question="question", answers="answers", choices="choices"
    )  # fmt: skip
    file = DatasetFile(
        "Mine.", "here", "test", own, metric=metric,
        prompt="{media}{question}{options}" if not talks else "{media}{question}",
        python_answers=data.draw(st.booleans()), answer_member=data.draw(st.none() | st.just("answer")),
    )  # fmt: skip
    reader = RowReader(file, fields, MediaFiles(Table("here", "test"), tmp_path))
    said = ""
    try:
        assert reader.media_count >= 0
        reader.text("id")
        assert all(isinstance(turn, Turn) for turn in reader.turns("x", "y"))
    except ValueError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 1000


@pytest.mark.parametrize("empty", [None, [], [None]])
def test_a_row_without_its_picture_is_not_asked(told: Callable[..., str], tmp_path: Path, empty: Any) -> None:
    row = {"question": "?", "image": empty, "more": ["0.png"] if isinstance(empty, list) else "0.png"}
    (tmp_path / "mine" / "here" / "test.jsonl").write_text(json.dumps(row))
    assert told().endswith("row 0: it has no picture or video to ask about: image is empty")
    file = tmp_path / "mine" / "mine.yaml"
    file.write_text(json.dumps(MINE | {"fields": {"images": ["image", "more"], "question": "question"}}))
    (found,) = open_workload(str(file), Sources(recur="none")).conversations(StreamOptions(5))
    assert [medium.data for medium in found.turns[0].media] == [PNG]


@pytest.mark.parametrize("depth", [50, 900, 5000])
def test_deep_values_of_a_row_are_told(told: Callable[..., str], tmp_path: Path, depth: int) -> None:
    row = f'{{"image": {"[" * depth}1{"]" * depth}, "question": "?"}}'
    (tmp_path / "mine" / "here" / "test.jsonl").write_text(row)
    assert len(told()) < len(str(tmp_path)) + 500


@pytest.mark.parametrize(
    "value", [[{"answer": "a", "id": 0}, {"answer": "b", "id": 1}], {"answer": ["a", "b"], "id": [0, 1]}]
)
def test_a_member_of_answers_counts_if_it_is_named(tmp_path: Path, value: Any) -> None:
    fields = Fields(images=("image",), question="question", answers="answers")
    row = {"image": {"bytes": PNG}, "question": "?", "answers": value}
    media = MediaFiles(Table("here", "test"), tmp_path)
    named = DatasetFile("Mine.", "here", "test", fields, answer_member="answer", metric="vqa-accuracy")
    (turn,) = RowReader(named, row, media).turns("x", "y")
    assert turn.answer.accepted == ("a", "b")
    for member, said in (("anser", "has no member 'anser'"), (None, "is neither a text nor a number")):
        file = DatasetFile("Mine.", "here", "test", fields, answer_member=member)
        with pytest.raises(ValueError, match=said):
            RowReader(file, row, media).turns("x", "y")


def test_mmdu_says_that_its_score_is_not_the_benchmarks(tmp_path: Path) -> None:
    from reports.summary.notices import _not_the_benchmarks

    benchmark = open_workload("mmdu", Sources(tmp_path)).defaults.benchmark_score
    assert benchmark == "the judgement of a language model"
    asked = {"mmdu": {"metrics": ["f1"], "benchmark_score": benchmark}, "mmmu": {"metrics": ["mmmu"]}}
    (notice,) = _not_the_benchmarks(asked, "mmdu")
    assert notice.text == "scored by f1; the benchmark's own score is the judgement of a language model"
    for document, workload in ((asked, "mmmu"), (asked, "none"), (None, "mmdu"), ({"mmdu": []}, "mmdu")):
        assert not list(_not_the_benchmarks(document, workload))


def test_a_zip_archive_with_too_many_files_is_not_opened(
    told: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "mine" / "here"
    (here / "0.png").unlink()
    with zipfile.ZipFile(here / "a.zip", "w") as archive:
        for number in range(100):
            archive.writestr(f"{number}.png", PNG)
    monkeypatch.setattr(media, "MOST_CONTENTS", 10_000)
    (found,) = open_workload(described(tmp_path), Sources(recur="none")).conversations(StreamOptions(5))
    assert found.turns[0].media[0].data == PNG
    monkeypatch.setattr(media, "MOST_CONTENTS", 1000)
    assert "the archive's table of contents is larger than 0 MiB" in told(archives="*.zip")


def described(folder: Path) -> str:
    """A data-set file whose pictures are in archives."""
    file = folder / "mine" / "mine.yaml"
    file.write_text(json.dumps(MINE | {"archives": "*.zip"}))
    return str(file)
