"""Read the rows of a data set, from the hub or a local copy, a window at a time; no code in a data set is run.

Only as many rows are read as are asked for. Pictures and videos stay the encoded bytes, or the paths, that they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workloads.datasets.ending import open_streams
from workloads.datasets.row_files import BUILDERS, RowFile, RowFiles, reason
from workloads.datasets.within import inside, regular_files
from workloads.errors import UsageError

if TYPE_CHECKING:
    from datasets import DatasetBuilder, Features, IterableDataset

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Table:
    """Where rows lie.

    Attributes:
        path: of the data set on the hub, for a copy of which a folder may stand in.
        split: which of its splits.
        config: the hub's name for a part of it; in the hub's layout a folder.
        files: pattern of its files from the top folder, where the hub does not know splits and parts of it.
        revision: branch, tag or commit on the hub.
    """

    path: str
    split: str
    config: str | None = None
    files: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Row:
    """One row; ``number`` counts it within its split, file by file."""

    number: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Window:
    """Rows that stand near one another, shuffled; ``features`` are None where the data set does not declare them.

    To these features pictures and videos are the files, or the paths, that they are in the rows.
    """

    rows: list[Row]
    features: Features | None


def windows(table: Table, folder: Path | None, size: int, rng: np.random.Generator) -> Iterator[Window]:
    """All rows, ``size`` at a time: files in the order, and rows of a window in the order, that ``rng`` draws.

    Args:
        table: what to read.
        folder: a local copy to read it from; None for the hub.
        size: of a window, in rows. A larger one mixes better, and more is read before the first is asked about.
        rng: another one draws other rows first.

    Raises:
        UsageError: the rows cannot be read.
    """
    origin = _origin(table, folder)
    dataset, row_files = _open(table, folder)
    with _reading(origin):
        dataset = _media_as_files(_mixed_declared(dataset))
    files = max(dataset.num_shards, 1)
    for file in rng.permutation(files):
        row_files.require_bearable_shard(int(file), files)
        rows = _numbered(dataset.shard(files, int(file)), f"{file}-" if files > 1 else "", origin)
        while window := list(islice(rows, size)):
            yield Window([window[index] for index in rng.permutation(len(window))], dataset.features)


def _numbered(rows: IterableDataset, prefix: str, origin: str) -> Iterator[Row]:
    with open_streams().reading(iter(rows)) as reader:
        counted = enumerate(reader)
        while True:
            with _reading(origin):
                numbered = next(counted, None)
            if numbered is None:
                return
            yield Row(f"{prefix}{numbered[0]}", numbered[1])


@contextmanager
def _reading(origin: str) -> Iterator[None]:
    """Say where it is that something is wrong."""
    try:
        yield
    except Exception as error:  # whatever the file format, the file system or the network have to say
        raise UsageError(f"{origin} cannot be read: {reason(error)}") from error


def _mixed_declared(dataset: IterableDataset) -> IterableDataset:
    """The same, fields declared if some of a JSON file hold values of several types, which come as JSON otherwise."""
    from datasets import Features

    if dataset.features is not None or dataset.info.builder_name != "json":
        return dataset
    first = next(iter(dataset.with_format("arrow").iter(1)), None)
    if first is None or not any("arrow.json" in str(column.type) for column in first.schema):
        return dataset
    return dataset.cast(Features.from_arrow_schema(first.schema))


def _media_as_files(dataset: IterableDataset) -> IterableDataset:
    """The same, no picture or video decoded, and what `datasets` holds as JSON read."""
    if not dataset.features:
        return dataset
    features = dataset.decode(False).features
    for name, feature in list(features.items()):
        _decode_json(feature)
        features[name] = feature  # only then it is noted that the column is decoded
    return dataset.cast(features)


def _decode_json(feature: Any) -> None:
    if type(feature).__name__ == "Json":  # which not all releases have
        feature.decode = True
    for inner in feature.values() if isinstance(feature, dict) else [getattr(feature, "feature", None)]:
        if inner is not None:
            _decode_json(inner)


def _open(table: Table, folder: Path | None) -> tuple[IterableDataset, RowFiles]:
    """The data set, of which nothing but names and schema is read yet, and the files that have its rows."""
    logging.getLogger("datasets.packaged_modules").setLevel(logging.CRITICAL)  # what is wrong is told once, as an error
    try:
        builder, split, files = _on_the_hub(table) if folder is None else _in_copy(table, folder)
        row_files = RowFiles(files)
        row_files.require_bearable_first()
        return builder.as_streaming_dataset(split=split), row_files
    except UsageError:
        raise
    except StopIteration as error:
        raise UsageError(f"{_origin(table, folder)} has no rows") from error
    except Exception as error:  # as above
        advice = "" if folder else "; give --dataset-path DIR with a local copy in the hub's layout"
        raise UsageError(f"{_origin(table, folder)} cannot be opened: {reason(error)}{advice}") from error


def _in_copy(table: Table, folder: Path) -> tuple[DatasetBuilder, str, Sequence[RowFile]]:
    """What reads a local copy, the split to read, and its files."""
    from datasets import load_dataset_builder

    form, files = _local_files(table, folder)
    names = [str(path) for path in files]
    return load_dataset_builder(form, data_files={table.split: names}), table.split, files


def _on_the_hub(table: Table) -> tuple[DatasetBuilder, str, Sequence[RowFile]]:
    """What reads the data set from the hub, the split to read, and the addresses of its files."""
    from datasets import load_dataset_builder

    if Path(table.path).exists():
        raise UsageError(f"path '{table.path}' is in the working folder, and not beside the data set's file")
    if table.files is None:
        builder = load_dataset_builder(table.path, table.config, revision=table.revision)
    else:
        place = f"hf://datasets/{table.path}@{table.revision or 'main'}/{table.files}"
        builder = load_dataset_builder(_builder(table.files), data_files=place)
    split = table.split if table.files is None else "train"
    return builder, split, (builder.config.data_files or {}).get(split, [])


def _local_files(table: Table, folder: Path) -> tuple[str, list[Path]]:
    """The format and the files of a local copy. Whatever else lies there is not looked at."""
    if not folder.is_dir():
        raise UsageError(f"--dataset-path {folder} is no folder")
    if table.files is not None:
        patterns = [table.files]
    else:
        places = (f"{table.config}/", f"data/{table.config}/") if table.config else ("", "data/")
        names = [f"{table.split}{rest}{suffix}" for suffix in BUILDERS for rest in ("", "-*", "/*")]
        patterns = [f"{place}{name}" for place in places for name in names]
    for pattern in patterns:
        try:
            inside(pattern)
        except ValueError as error:
            raise UsageError(f"the files of a data set {error}") from error
        files = regular_files(folder, pattern)
        if files:
            first = files[0]
            if first.name in ("metadata.jsonl", "metadata.csv"):  # of a folder of pictures
                beside = regular_files(folder, "**/*", first.parent)
                return "imagefolder", [path for path in beside if path == first or path.suffix.lower() in PICTURES]
            return _builder(first.name), files
    expected = (
        patterns[0] if table.files else f"{places[0]}{table.split}-*.parquet, nor {', '.join(BUILDERS)} in its place"
    )
    raise UsageError(f"{folder} has no {expected}")


def is_in_copy(table: Table, folder: Path) -> bool:
    """Whether a local copy of the data set has a file of the table."""
    try:
        _local_files(table, folder)
    except UsageError:
        return False
    return True


def _builder(name: str) -> str:
    """Which of the readers of `datasets` reads a file."""
    builder = BUILDERS.get(Path(name).suffix)
    if builder is None:
        raise UsageError(f"'{name}' must end in one of {', '.join(BUILDERS)}")
    return builder


def _origin(table: Table, folder: Path | None) -> str:
    part = "/".join(name for name in (table.config, table.split) if name)
    return f"{part} in {folder}" if folder is not None else f"{table.path} ({part}) on the Hugging Face hub"
