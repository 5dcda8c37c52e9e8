"""Whatever a model's settings say, the model is loaded and answers, or is refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runners.models import settings as checks
from runners.models.files import INDEX, ModelFiles, survey
from runners.models.load import load_model
from workloads.errors import UsageError

SIZES = st.sampled_from([0, 1, -1, 2, 3, 7, 64, 128, 4096, 10**9, 10**30, -(10**9), 0.5, 1e300, -0.0])
WORDS = st.sampled_from(["", "x", "../x", "default", "\x1b[31m", "\n::stop-commands::x", "owner/name", "qwen2_vl"])
VALUES = st.recursive(
    st.none() | st.booleans() | SIZES | WORDS | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
WHOLE_EXAMPLES, READ_EXAMPLES = 30, 300


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of a JSON value, itself included."""
    yield before
    inner = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*before, key))


def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    value[place[0]] = put(value[place[0]], place[1:], new)
    return value


@pytest.fixture(scope="module")
def folder(family_of: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with every file that a model can have, and processor and video processor beside its own."""
    path = Path(shutil.copytree(family_of("qwen2_5_vl").path, tmp_path_factory.mktemp("hostile") / "model"))
    images = json.loads((path / "preprocessor_config.json").read_text())
    (path / "processor_config.json").write_text(json.dumps({"processor_class": "X", "image_processor": images}))
    (path / "video_preprocessor_config.json").write_text(json.dumps({**images, "fps": 2}))
    load_model("mine", path, "float32", "cpu")
    return path


def one_line(read: Callable[[], Any]) -> None:
    try:
        read()
    except UsageError as error:
        assert str(error).isprintable(), error  # noqa: PT017


@settings(max_examples=WHOLE_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")
def test_any_value_in_any_field_is_loaded_or_one_line(folder: Path, data: st.DataObject) -> None:
    names = sorted(file.name for file in folder.glob("*.json") if file.name != "tokenizer.json")
    file = folder / data.draw(st.sampled_from(names), "file")
    original = file.read_text()
    value = json.loads(original)
    place = data.draw(st.sampled_from(sorted(places(value), key=str)), "place")
    file.write_text(json.dumps(put(value, place, data.draw(VALUES, "value"))))
    try:
        one_line(lambda: load_model("mine", folder, "float32", "cpu"))
    finally:
        file.write_text(original)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"num_labels": 400_000}, "num_labels must be a whole number from 0 to 32768, not 400000"),
        ({"text_config": {"num_labels": -1}}, "text_config.num_labels must be a whole number from 0 to 32768, not -1"),
        ({"dtype": "__class__"}, "dtype must be a kind of number such as float32, not '__class__'"),
        ({"text_config": {"torch_dtype": "nn"}}, "text_config.torch_dtype must be a kind of number such as float32"),
        ({"dtype": 5}, "dtype must be a text, not 5"),
        ({"id2label": 5}, "id2label must map names to values, not 5"),
        ({"quantization_config": 5}, "quantization_config must map names to values, not 5"),
        ({"quantization_config": {"quant_method": "any"}}, "quantization_config.quant_method 'any' is not known to"),
        ({"quantization_config": {"quant_method": []}}, "quantization_config.quant_method [] is not known to"),
        ({"sub_configs": 5}, "sub_configs is no setting of a model; remove it"),
        ({"to_dict": 5}, "to_dict is no setting of a model; remove it"),
        ({"__class__": "x"}, "__class__ is no setting of a model; remove it"),
        ({"vision_config": {"from_dict": 5}}, "from_dict is no setting of a model; remove it"),
    ],
)
def test_settings_that_would_mislead_transformers_are_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: dict[str, Any], told: str
) -> None:
    path = Path(shutil.copytree(folder, tmp_path / "model"))
    value = json.loads((path / "config.json").read_text())
    for key, item in setting.items():
        value[key] = {**value[key], **item} if isinstance(item, dict) and key in value else item
    (path / "config.json").write_text(json.dumps(value))
    with pytest.raises(UsageError) as caught:
        load_model("mine", path, "float32", "cpu")
    assert str(caught.value).startswith(f"model 'mine' cannot be loaded: config.json: {told}")
    assert capsys.readouterr() == ("", "")


@settings(max_examples=READ_EXAMPLES)
@given(value=VALUES)
def test_any_index_is_read_or_one_line(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("index")
    for wrong in (value, {"weight_map": value}, {"weight_map": {"a": value}}):
        (path / INDEX).write_text(json.dumps(wrong))
        one_line(lambda: survey(path))


@settings(max_examples=READ_EXAMPLES)
@given(data=st.data())
def test_any_settings_are_checked_or_one_line(
    data: st.DataObject, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    read: list[Callable[[Any], None]] = [
        checks.check_config,
        lambda value: checks.check_generation(value, "generation_config.json"),
        lambda value: checks.check_image_settings(value, "preprocessor_config.json"),
    ]
    name = data.draw(st.sampled_from(["config.json", "generation_config.json", "preprocessor_config.json"]))
    value = deepcopy(json.loads((folder / name).read_text()))
    value = put(value, data.draw(st.sampled_from(sorted(places(value), key=str))), data.draw(VALUES))
    other = tmp_path_factory.mktemp("settings")
    (other / name).write_text(json.dumps(value))
    files = ModelFiles(other, (name,), (), False)
    one_line(files.check)

    def check() -> None:
        read_value = files.read(name)
        for function in read:
            function(read_value)

    one_line(check)
