"""What is printed is seen, and nothing of it obeyed."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.printable import LINE_COMMAND, OBEYED, json_printable, on_one_line, printable, uncommanding

OBEYED_TEXTS = ["\x1b]0;x\x07", "\x9b31m", "\u202e", "\u2066", "\u2028", "\ud800", "\ufeff", "::error::", "##[error]x"]
TEXTS = st.lists(st.text() | st.sampled_from([*OBEYED_TEXTS, "\n", "\r", "\t", ":", "é", "漢字"])).map("".join)


@pytest.mark.parametrize(
    "text", ["", "a b\nc", "é e\u0301", "漢字", "👍🏽 👩\u200d🔬 🇩🇪", "שלום", "non\u00a0breaking", "میخواهم\u200c"]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m\x07", r"\x1b[31m\x07"),
        ("a\r\nb\rc\td", "a\nb\\rc d"),
        ("\x9b\u202e\u2028\ud800", r"\x9b\u202e\u2028\ud800"),
        ("\U000e0041\ufeff", r"\U000e0041\ufeff"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::stop-commands::x", r":\x3astop-commands::x"),
        ("a\n \u00a0::error::x", "a\n \u00a0:\\x3aerror::x"),
        ("a ::error::x", "a ::error::x"),
        ("##[add-mask]x ##vso[task.x]", r"##\x5badd-mask]x ##vso\x5btask.x]"),
        ("## [a](b)", "## [a](b)"),
    ],
)
def test_no_line_is_a_command_to_a_ci_service(text: str, shown: str) -> None:
    assert uncommanding(text) == shown


@given(TEXTS)
def test_any_text_can_be_printed(text: str) -> None:
    shown = printable(text)
    assert not OBEYED.search(shown)
    assert all(unicodedata.category(char) != "Cc" or char == "\n" for char in shown)
    shown.encode()
    assert printable(shown) == shown
    assert "\n" not in on_one_line(text)
    assert not LINE_COMMAND.search(uncommanding(shown))


@given(st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=2), max_size=3))
def test_a_json_document_stays_the_same_data(value: object) -> None:
    shown = json_printable(json.dumps({"a": value}, ensure_ascii=False, indent=2))
    assert json.loads(shown) == json.loads(json.dumps({"a": value}))
    assert not OBEYED.search(shown)
    assert uncommanding(shown) == shown
