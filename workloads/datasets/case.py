"""Make requests and answer keys of a row of a data set, as the description of the data set says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from workloads.datasets.description import MEDIA, NAME, OPTIONS, DatasetFile
from workloads.datasets.media import MediaFiles
from workloads.errors import quoted, unknown_name
from workloads.records import Answer, Media, MediaKind, Turn
from workloads.scoring.option_letter import LETTERED, read_letter

ASKING = ("human", "user")
REPLYING = ("gpt", "assistant")
LONGEST_LIST = 50_000  # characters of a list in the words of Python, which takes a thousand times its size
LABEL = re.compile(r"\(?([A-Z])[).:]\s*")


class RowReader:
    """Reads one row; ValueError says what is wrong with it.

    Args:
        file: what its fields mean.
        fields: the row, and what stands for more of its fields.
        media: reads pictures and videos.
    """

    def __init__(self, file: DatasetFile, fields: Mapping[str, Any], media: MediaFiles) -> None:
        self._file = file
        self._fields = fields
        self._media = media

    def text(self, name: str) -> str:
        """The field ``name`` in words; of a list, all."""
        words = self.optional(name)
        if words is None:
            raise ValueError(f"its {name} is empty")
        return words

    def optional(self, name: str) -> str | None:
        """The same; None where there is nothing in it."""
        value = self._value(name)
        return ", ".join(map(_word, value)) if isinstance(value, list) else None if value is None else _word(value)

    @property
    def media_count(self) -> int:
        """How many media the row has, none of them read."""
        return sum(len(value) if isinstance(value, list) else value is not None for _, value in self._media_fields())

    def turns(self, name: str, family: str) -> tuple[Turn, ...]:
        """What is asked: one turn called ``name``, or those of a talk."""
        media = [medium for kind, value in self._media_fields() for medium in self._media.media(value, kind, name)]
        if not media:
            fields = ", ".join((*self._file.fields.images, *self._file.fields.videos))
            raise ValueError(f"it has no picture or video to ask about: {fields} is empty")
        if self._file.fields.talk is None:
            return (Turn(name, self._prompt(media), self._answer(), family),)
        messages = [_message(message) for message in self._list(self._file.fields.talk)]
        questions = [words for asks, words in messages if asks]
        replies = [words for asks, words in messages if not asks]
        if [asks for asks, _ in messages] != [index % 2 == 0 for index in range(len(messages))] or not questions:
            raise ValueError(f"in its {self._file.fields.talk}, user and assistant do not take turns")
        answers = [Answer((reply,), self._file.metric) for reply in replies]
        answers += [Answer((), self._file.metric)] * (len(questions) - len(replies))
        contents = self._placed(questions, media)
        return tuple(
            Turn(f"{name}.{index}", content, answer, family)
            for index, (content, answer) in enumerate(zip(contents, answers, strict=True))
        )

    def _media_fields(self) -> Iterator[tuple[MediaKind, Any]]:
        kinds: tuple[tuple[MediaKind, tuple[str, ...]], ...] = (
            ("image", self._file.fields.images),
            ("video", self._file.fields.videos),
        )
        for kind, sources in kinds:
            for source in sources:
                yield kind, self._filled(source) if NAME.search(source) else self._value(source)

    def _prompt(self, media: Sequence[Media]) -> tuple[str | Media, ...]:
        before, _, after = self._file.prompt.partition(f"{{{MEDIA}}}")
        parts: tuple[str | Media, ...] = (self._filled(before), *media, self._filled(after))
        return tuple(part for part in parts if part != "")

    def _filled(self, template: str) -> str:
        return NAME.sub(lambda name: self._options() if name[1] == OPTIONS else self.text(name[1]), template)

    def _options(self) -> str:
        lettered = zip(ascii_uppercase, self._choices(), strict=False)
        return "\n".join(self._option({"letter": letter, "text": text}) for letter, text in lettered)

    def _option(self, values: Mapping[str, str]) -> str:
        return NAME.sub(lambda name: values.get(name[1], name[0]), self._file.option)

    def _choices(self) -> tuple[str, ...]:
        """The texts of the options, without the letters that some data sets put before them."""
        if self._file.fields.choices is None:
            return ()
        choices = [_word(choice) for choice in self._list(self._file.fields.choices, as_python=True)]
        if len(choices) > len(ascii_uppercase):
            raise ValueError(f"it has {len(choices)} choices, and there are only {len(ascii_uppercase)} letters")
        letters = [LABEL.match(choice) for choice in choices]
        if [letter and letter[1] for letter in letters] == list(ascii_uppercase[: len(choices)]):
            return tuple(choice[letter.end() :] for choice, letter in zip(choices, letters, strict=True) if letter)
        return tuple(choices)

    def _answer(self) -> Answer:
        """The answer key; without accepted texts where the row has none."""
        name, choices = self._file.fields.answers, self._choices()
        value = self._value(name) if name is not None else None
        if self._file.python_answers and isinstance(value, str):
            value = _python(value)
        if self._file.answer_member is not None:
            value = _members(value, self._file.answer_member)
        accepted = value if isinstance(value, list | tuple) else [] if value is None else [value]
        texts = tuple(self._accepted(value, choices) for value in accepted)
        return Answer(texts if any(text.strip() for text in texts) else (), self._file.metric, choices)

    def _accepted(self, value: Any, choices: Sequence[str]) -> str:
        """A text that is right; a number may be the place of a choice."""
        lettered = self._file.metric in LETTERED
        if type(value) is int and choices:
            if not 0 <= value < len(choices):
                raise ValueError(f"its answer {value} is no place among {len(choices)} choices, counted from 0")
            return ascii_uppercase[value] if lettered else choices[value]
        text = _word(value)
        if lettered and choices and text.strip() and read_letter(text, choices) is None:
            raise ValueError(f"its answer {quoted(text)} is neither the letter nor the text of one of its choices")
        return text

    def _placed(self, questions: Sequence[str], media: Sequence[Media]) -> list[tuple[str | Media, ...]]:
        """What the user says, with the media in their places; all before the first words if there are no places."""
        mark = self._file.placeholder
        places = sum(words.count(mark) for words in questions)
        if places not in (0, len(media)):
            raise ValueError(f"it has {places} places for media, {quoted(mark)}, and {len(media)} media")
        left = iter(media)
        contents: list[tuple[str | Media, ...]] = []
        for words in questions:
            parts: list[str | Media] = [] if contents or places else list(left)
            for index, piece in enumerate(words.split(mark)):
                parts += [*([next(left)] if index else []), *([piece] if piece else [])]
            if not parts:
                raise ValueError(f"in its {self._file.fields.talk}, a message of the user is empty")
            contents.append(tuple(parts))
        return contents

    def _list(self, name: str, as_python: bool = False) -> Sequence[Any]:
        """The list that the field ``name`` holds, or is in the words of Python; an empty one where there is nothing."""
        value = self._value(name)
        if as_python and isinstance(value, str):
            value = _python(value)
        if not isinstance(value, list | tuple | None):
            raise ValueError(f"its {name} must be a list, not {quoted(str(value))}")
        return value or ()

    def _value(self, name: str) -> Any:
        if name not in self._fields:
            raise unknown_name("field", name, self._fields)
        return self._fields[name]


def _members(value: Any, member: str) -> Any:
    """The member of an answer that counts, or of each in a list; `datasets` may make a mapping of lists of them."""
    if isinstance(value, list | tuple):
        return [_members(item, member) for item in value]
    if value is None:
        return None
    if not isinstance(value, dict) or member not in value:
        raise ValueError(f"its answer {quoted(str(value))} has no member {quoted(member)}")
    return value[member]


def _python(text: str) -> Any:
    """A value in the words of Python."""
    if len(text) > LONGEST_LIST:
        raise ValueError(f"{quoted(text)} is longer than {LONGEST_LIST} characters: keep it as a list of the row")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"{quoted(text)} is no list in the words of Python") from error


def _word(value: Any) -> str:
    """A text, a number or the like in words."""
    if isinstance(value, dict | list | tuple | bytes | None):
        raise ValueError(f"{quoted(str(value))} is neither a text nor a number")
    return str(value)


def _message(message: Any) -> tuple[bool, str]:
    """Whether the user says it, and what."""
    fields = message if isinstance(message, dict) else {}
    who, words = fields.get("from", fields.get("role")), fields.get("value", fields.get("content"))
    if who not in (*ASKING, *REPLYING) or not isinstance(words, str):
        raise ValueError(f"{quoted(str(message))} is no message of a user or an assistant")
    return who in ASKING, words
