"""What people and other programs wrote: read strictly, and a mistake told in one line that can be printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from subprocess import run
from typing import Annotated, Any, Literal, NotRequired

import pytest
from annotated_types import Ge, Interval, MinLen
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from workloads.errors import UsageError
from workloads.reading import Read, Text, Texts, check, keys, read_json, read_yaml


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def even(value: object) -> int:
    if not isinstance(value, int) or value % 2:
        raise ValueError(f"must be even, not {value!r}")
    return value // 2


@keys(dashes=True, noun="requirement")
@dataclass(frozen=True)
class Rule:
    margin: Annotated[float, Interval(gt=0, lt=1)] | None = None
    runner: Text = "*"
    at_least: Annotated[int, Ge(1)] = 1
    share: Annotated[float, Interval(ge=0, le=1)] = 0.0
    colour: Colour = Colour.RED
    letter: Literal["a", "b"] = "a"
    on: bool = False
    names: Texts = ()
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    inner: Rule | None = None
    counts: Annotated[tuple[int, ...], MinLen(1)] = (1,)
    half: Annotated[int, Read(even)] = 0
    many: int | str | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.letter == "b" and not self.on:
            raise ValueError("has letter b but is not on")
        if self.runner == "nobody":
            raise UsageError("nobody is no runner")


@keys(unknown="keep")
class Document(TypedDict):
    schema: Literal[1]
    rules: NotRequired[tuple[Rule, ...]]


@keys(unknown="ignore")
@dataclass(frozen=True)
class Loose:
    number: int


Rules = dict[str, tuple[Rule, ...]]


def test_a_value_of_every_type_is_read() -> None:
    text = """
    {margin: 0.5, at-least: 2, share: 1, colour: blue, letter: b, 'on': true, names: x, limits: {a: {b: [1]}},
     inner: {names: [y, z]}, counts: [3, 4], half: 6, many: [1, 2.5]}"""
    expected = Rule(
        margin=0.5,
        at_least=2,
        share=1.0,
        colour=Colour.BLUE,
        letter="b",
        on=True,
        names=("x",),
        limits={"a": {"b": [1]}},
        inner=Rule(names=("y", "z")),
        counts=(3, 4),
        half=3,
        many=(1.0, 2.5),
    )
    found = read_yaml(text, Rule, "file")
    assert found == expected
    assert (found.colour is Colour.BLUE, type(found.share)) == (True, float)
    assert read_json(json.dumps({"many": 1}), Rule).many == 1
    assert read_json(json.dumps({"many": "1"}), Rule).many == "1"


def test_json_and_plain_values_are_read_alike() -> None:
    value = {"schema": 1, "kept": [1], "rules": [{"counts": [2], "colour": "blue", "on": False}]}
    expected = {"schema": 1, "kept": [1], "rules": (Rule(counts=(2,), colour=Colour.BLUE),)}
    assert read_json(json.dumps(value), Document, "file") == expected
    assert read_json(b"\xef\xbb\xbf" + json.dumps(value).encode(), Document, "file") == expected
    assert check(value, Document, "file") == expected
    assert check({"schema": 1, "rules": ({"counts": (2,)},)}, Document) == {"schema": 1, "rules": (Rule(counts=(2,)),)}


def test_unknown_keys_are_ignored_or_kept_where_the_kind_says_so() -> None:
    assert read_json('{"number": 1, "more": 2}', Loose) == Loose(1)
    assert read_json('{"schema": 1, "more": 2}', Document) == {"schema": 1, "more": 2}


def test_of_equal_keys_the_last_holds() -> None:
    assert read_yaml("{number: 1, number: 2}", Loose) == read_json('{"number": 1, "number": 2}', Loose) == Loose(2)


def test_an_empty_yaml_file_is_null() -> None:
    assert read_yaml("# nothing\n", Loose | None) is None


MISTAKES = [
    ("margin: 3", "margin must be a number above 0 and below 1, not 3"),
    ("margin: .nan", "margin must be a number above 0 and below 1, not nan"),
    ("margin: '0.5'", "margin must be a number above 0 and below 1, not '0.5'"),
    ("share: -.inf", "share must be a number from 0 to 1, not -inf"),
    ("share: true", "share must be a number from 0 to 1, not True"),
    (f"share: 0x{'f' * 9999}", "share must be a number from 0 to 1, not a whole number of 39996 bits"),
    ("at-least: true", "at_least must be a whole number of at least 1, not True"),
    ("at-least: 0", "at_least must be a whole number of at least 1, not 0"),
    ("at-least: 1.0", "at_least must be a whole number of at least 1, not 1.0"),
    (r'letter: "\ud800"', "letter is not valid Unicode: it holds half of a character"),
    (r'limits: {"\ud800": {}}', r"limits: the name '\ud800' must be a text"),
    ("runner: ' '", "runner must be a text, not ' '"),
    ("runner: 2024-01-01", "runner must be a text, not the date 2024-01-01"),
    ("runner: nobody", ": nobody is no runner"),
    ("letter: b", " has letter b but is not on"),
    ("letter: c", "letter must be one of a, b, not 'c'"),
    ("colour: green", "colour must be one of red, blue, not 'green'"),
    ("'on': 1", "on must be true or false, not 1"),
    ("names: [x, 3]", "names[1] must be a text, not 3"),
    ("names: 3", "names must be a text or a list, not 3"),
    ("names: !!set {x, y}", "names must be a text or a list, not {'x', 'y'}"),
    ("limits: {a: 3}", "limits.a must map names to values, not 3"),
    ("limits: {3: {}}", "limits: the name 3 must be a text"),
    ("inner: {inner: {share: x}}", "inner.inner.share must be a number from 0 to 1, not 'x'"),
    ("inner: {chare: 1}", "inner: unknown requirement 'chare': did you mean 'share'?"),
    ("inner: 3", "inner must map names to values, not 3"),
    ("counts: []", "counts must be a list and not empty, not []"),
    ("counts: 3", "counts must be a list, not 3"),
    ("half: 3", "half must be even, not 3"),
    ("many: {}", "many must be a whole number, a text or a list, not {}"),
    ("many: [1, x]", "many[1] must be a number, not 'x'"),
    ("margen: 1", ": unknown requirement 'margen': did you mean 'margin'?"),
    ("3: 1", ": unknown requirement '3': known: at_least, "),
    ("at-least: 1\nat_least: 2", ": 'at_least' is given twice"),
]


@pytest.mark.parametrize(("text", "mistake"), [pytest.param(*case, id=case[1]) for case in MISTAKES])
def test_a_mistake_is_told_with_its_place_in_one_line(text: str, mistake: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_yaml(text, Rule, "policy.yaml")
    glue = "" if mistake[0] in ": " else ": "
    assert str(caught.value).replace("{'y', 'x'}", "{'x', 'y'}").startswith(f"policy.yaml{glue}{mistake}")
    nested = "\n".join(f"    {line}" for line in text.splitlines())
    with pytest.raises(UsageError) as caught:
        read_yaml(f"a:\n  - {{}}\n  -\n{nested}", Rules, "policy.yaml")
    glue = "" if mistake[0] in ": " else "."
    assert str(caught.value).replace("{'y', 'x'}", "{'x', 'y'}").startswith(f"policy.yaml: a[1]{glue}{mistake}")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[1]", "must map names to values, not [1]"),
        ("", "must map names to values, not None"),
        ("{}", "number is missing"),
        ("{number: 1, 3: 1}", "the name 3 must be a text"),
        ("&a [*a]", "must map names to values, not [[[[...]]]]"),
        ("number: &a [*a]", "number must be a whole number, not [[[[...]]]]"),
        ("number: [", "is not valid YAML: while parsing a flow node, expected the node content, but found '<stream"),
        ("number: 2024-13-01", "is not valid YAML: month must be in 1..12"),
        ("[" * 9000, "is not valid YAML: lists and mappings are nested too deeply"),
        ("!!python/object/apply:os.getcwd []", "is not valid YAML: could not determine a constructor for the tag"),
        ("!!bool x", "is not valid YAML: "),
        ("!!timestamp x", "is not valid YAML: "),
        ("a: \x00", "is not valid YAML: unacceptable character #x0000"),
        ("a: *b\u202e", "is not valid YAML: "),
        (b"\xff", "is not valid YAML: 'utf-8' codec can't decode byte 0xff in position 0"),
    ],
)
def test_what_is_no_yaml_of_the_kind_is_told(text: str | bytes, mistake: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_yaml(text, Loose)
    assert str(caught.value).startswith(mistake)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[1]", "must map names to values, not [1]"),
        ("{}", "number is missing"),
        ('{"number": NaN}', "number must be a whole number, not nan"),
        ('{"number": 1e999}', "number must be a whole number, not inf"),
        ('{"number": "\\ud800"}', "number is not valid Unicode: it holds half of a character"),
        ('{"number": 1, "more": "\\ud800"}', "is not valid JSON: unexpected end of hex escape"),
        ("[" * 200_000, "is not valid JSON: lists and mappings are nested too deeply"),
        ("9" * 9000, "is not valid JSON: Exceeds the limit (4300 digits)"),
        ("{\n", "is not valid JSON: Expecting property name enclosed in double quotes, line 2, column 1"),
        ("{", "is not valid JSON: Expecting property name enclosed in double quotes, column 2"),
        (b"\xff", "is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 0"),
        (b'"\xff"', "is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 1"),
    ],
)
def test_what_is_no_json_of_the_kind_is_told(text: str | bytes, mistake: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_json(text, Loose)
    assert str(caught.value).startswith(mistake)
    assert str(caught.value).isprintable()


def test_an_error_is_short_whatever_the_file_holds() -> None:
    value: Any = "x" * 10**5
    for _ in range(12):
        value = [value] * 9
    for mistaken in ({"number": value}, {"number": {"x" * 10**5: 1}}, value):
        with pytest.raises(UsageError) as caught:
            check(mistaken, Loose, "file")
        assert len(str(caught.value)) < 200
    with pytest.raises(UsageError) as caught:
        check({"\n" + "x" * 10**5: 3}, dict[str, str], "file")
    assert str(caught.value) == f"file: '\\n{'x' * 39}' must be a text, not 3"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["red", "a", "*"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*Rule.__dataclass_fields__, "rules", "schema"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def mistake_in(read: Callable[[], object]) -> str:
    """The text of the UsageError that reading ends with; empty where it ends well."""
    try:
        read()
    except UsageError as error:
        return str(error)
    return ""


@given(VALUES)
def test_any_value_is_read_or_told_in_one_printable_line(value: Any) -> None:
    text = json.dumps(value)
    for kind in (Rule, tuple[Rule, ...], Document, Rules | None, Loose):
        for told in (mistake_in(partial(check, value, kind, "file")), mistake_in(partial(read_json, text, kind))):
            assert told.isprintable()
            assert len(told) <= 600


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_told_in_one_printable_line(data: bytes) -> None:
    for read in (read_yaml, read_json):
        told = mistake_in(partial(read, data, dict[str, Any], "file"))
        assert told.isprintable()
        assert told == "" or told.startswith("file")


def test_pydantic_is_imported_when_the_first_file_is_read() -> None:
    code = "import sys, workloads.reading; sys.exit('pydantic' in sys.modules or 'yaml' in sys.modules)"
    assert run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
