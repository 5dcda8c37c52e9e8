"""From a row of a data set to what is asked about it, as the file that describes the data set says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from workloads.dataset_file import MEDIA, NAME, OPTIONS, DatasetFile
from workloads.dataset_media import MediaFiles
from workloads.errors import unknown_name
from workloads.pictures import shown
from workloads.records import Answer, Media, MediaKind, Turn

ASKING = ("human", "user")
REPLYING = ("gpt", "assistant")
LETTERED = re.compile(r"\(?([A-Z])[).:]\s*")

# Whatever is wrong with a row raises ValueError, or SyntaxError where it is not the Python that it should be.


class RowReader:
    """Reads one row.

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
        value = self._value(name)
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    @property
    def media_count(self) -> int:
        """How many media the row has, none of them read."""
        return sum(len(value) if isinstance(value, list) else value is not None for _, value in self._held())

    def turns(self, name: str, family: str) -> tuple[Turn, ...]:
        """What is asked: one turn called ``name``, or those of a talk."""
        media = [medium for kind, value in self._held() for medium in self._media.media(value, kind, name)]
        if self._file.fields.talk is None:
            return (Turn(name, self._prompt(media), self._answer(), family),)
        messages = [_message(message) for message in self._value(self._file.fields.talk)]
        asked = [words for asks, words in messages if asks]
        replies = [words for asks, words in messages if not asks]
        if [asks for asks, _ in messages] != [index % 2 == 0 for index in range(len(messages))] or not asked:
            raise ValueError(f"in its {self._file.fields.talk}, user and assistant do not take turns")
        answers = [Answer((reply,), self._file.metric) for reply in replies]
        answers += [Answer((), self._file.metric)] * (len(asked) - len(replies))
        contents = self._placed(asked, media)
        return tuple(
            Turn(f"{name}.{index}", content, answer, family)
            for index, (content, answer) in enumerate(zip(contents, answers, strict=True))
        )

    def _held(self) -> Iterator[tuple[MediaKind, Any]]:
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
        held = self._value(self._file.fields.choices)
        choices = [str(choice) for choice in (ast.literal_eval(held) if isinstance(held, str) else held)]
        if len(choices) > len(ascii_uppercase):
            raise ValueError(f"it has {len(choices)} choices, and there are only {len(ascii_uppercase)} letters")
        letters = [LETTERED.match(choice) for choice in choices]
        if [letter and letter[1] for letter in letters] == list(ascii_uppercase[: len(choices)]):
            return tuple(choice[letter.end() :] for choice, letter in zip(choices, letters, strict=True) if letter)
        return tuple(choices)

    def _answer(self) -> Answer:
        """The answer key; without accepted texts where the row has none."""
        choices = self._choices()
        held = self._value(self._file.fields.answers) if self._file.fields.answers is not None else None
        if self._file.python_answers and isinstance(held, str):
            held = ast.literal_eval(held)
        accepted = held if isinstance(held, list | tuple) else [] if held is None else [held]
        texts = [choices[text] if type(text) is int and choices else str(text) for text in accepted]
        return Answer(tuple(texts), self._file.metric, choices)

    def _placed(self, asked: Sequence[str], media: Sequence[Media]) -> list[tuple[str | Media, ...]]:
        """What the user says, with the media in their places; all before the first words if there are no places."""
        mark = self._file.placeholder
        places = sum(words.count(mark) for words in asked)
        if places not in (0, len(media)):
            raise ValueError(f"it has {places} places for media, {shown(mark)}, and {len(media)} media")
        left = iter(media)
        contents: list[tuple[str | Media, ...]] = []
        for words in asked:
            parts: list[str | Media] = [] if contents or places else list(left)
            for index, piece in enumerate(words.split(mark)):
                parts += [*([next(left)] if index else []), *([piece] if piece else [])]
            contents.append(tuple(parts))
        return contents

    def _value(self, name: str) -> Any:
        if name not in self._fields:
            raise unknown_name("field", name, self._fields)
        return self._fields[name]


def _message(message: Any) -> tuple[bool, str]:
    """Whether the user says it, and what."""
    said = message if isinstance(message, dict) else {}
    who, words = said.get("from", said.get("role")), said.get("value", said.get("content"))
    if who not in (*ASKING, *REPLYING) or not isinstance(words, str):
        raise ValueError(f"{shown(str(message))} is no message of a user or an assistant")
    return who in ASKING, words
