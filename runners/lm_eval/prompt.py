"""Read the requests of lm-eval: context and pictures as a chat, and how the answer is to be generated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.utils import hash_string
from PIL import Image

from runners.base import Request
from runners.engine.errors import MediaError
from workloads.errors import UsageError
from workloads.lm_eval.files import generation
from workloads.media.packing import pack
from workloads.records import Media, Message

PLACEHOLDER = "<image>"
READ = ("until", "max_gen_toks", "do_sample", "temperature")
WITHOUT_EFFECT = ("top_p", "top_k", "min_p")  # on the most likely token
NEUTRAL = {"num_beams": 1, "repetition_penalty": 1, "use_cache": True}


class Chat(str):
    """A chat as lm-eval carries prompts: a string, here the JSON of its messages."""

    __slots__ = ()


@dataclass(frozen=True)
class Question:
    """One request of lm-eval.

    Attributes:
        task, doc_id: what lm-eval's log calls it; ``doc_id`` counts the samples that are asked.
        prompt_hash: as in lm-eval's log.
        messages: role and content of each message, pictures in their places.
        until: strings that end the answer.
    """

    task: str
    doc_id: int
    prompt_hash: str
    messages: tuple[tuple[str, tuple[str | Image.Image, ...]], ...]
    max_new_tokens: int
    until: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.task}/{self.doc_id}"

    def request(self) -> Request:
        """Make the request for a runner, pictures as lossless PNG files; MediaError when one is damaged."""
        messages: list[Message] = []
        number = 0
        for role, content in self.messages:
            parts: list[str | Media] = []
            for part in content:
                if isinstance(part, str):
                    parts.append(part)
                else:
                    number += 1
                    name = f"{self.name}-image-{number}"
                    parts.append(Media("image", _packed(part, name), name))
            messages.append(Message(role, tuple(parts)))  # type: ignore[arg-type]
        return Request(self.name, tuple(messages), self.max_new_tokens)


def read(instance: Any, most_images: int) -> Question:
    """Read an lm-eval ``Instance``; of its pictures the first ``most_images``.

    Raises:
        UsageError: what it asks for is not what runners do.
    """
    context, told, *more = instance.args
    what = f"task '{instance.task_name}', document {instance.doc_id}"
    pictures = [picture for given in more for picture in given.get("visual", ())]
    if any("audio" in given for given in more):
        raise UsageError(f"{what}: runners take pictures, no sound; choose another task")
    if foreign := [type(picture).__name__ for picture in pictures if not isinstance(picture, Image.Image)]:
        raise UsageError(f"{what}: 'doc_to_image' must give PIL images, not {foreign[0]}")
    asked = json.loads(context) if isinstance(context, Chat) else [{"role": "user", "content": context}]
    placeholders = sum(message["content"].count(PLACEHOLDER) for message in asked)
    if placeholders != len(pictures):
        raise UsageError(
            f"{what}: its prompt has {placeholders} {PLACEHOLDER} for {len(pictures)} pictures; lm-eval hands over "
            "none for few-shot examples: use --num_fewshot 0"
        )
    left = iter(pictures[:most_images])
    messages = tuple((message["role"], tuple(_place(message["content"], left))) for message in asked)
    max_new_tokens, until = read_generation(told, what)
    return Question(instance.task_name, instance.doc_id, hash_string(context), messages, max_new_tokens, until)


def read_generation(told: Mapping[str, Any], what: str) -> tuple[int, tuple[str, ...]]:
    """Read the longest answer in tokens and the strings that end it, from a task's ``generation_kwargs``.

    Raises:
        UsageError: not what the most likely tokens, one after the other, can give.
    """
    given = generation(told)
    if given["do_sample"] or given.get("temperature", 0.0) > 0:
        raise UsageError(f"{what}: runners answer greedily: set do_sample=false and temperature=0 with --gen_kwargs")
    for key, value in given.items():
        if key not in READ and key not in WITHOUT_EFFECT and NEUTRAL.get(key) != value:
            raise UsageError(f"{what}: generation argument {key}={value!r} is not supported; runners answer greedily")
    if given["max_gen_toks"] < 1:
        raise UsageError(f"{what}: max_gen_toks must be at least 1, not {given['max_gen_toks']}")
    return given["max_gen_toks"], tuple(given["until"])


def write_chat(chat: Sequence[Mapping[str, str]]) -> Chat:
    """Write a chat in lm-eval's form, which its tasks carry unchanged."""
    return Chat(json.dumps(list(chat), ensure_ascii=False))


def _place(text: str, pictures: Iterator[Image.Image]) -> Iterator[str | Image.Image]:
    """Put the pictures in place of their placeholders in a text; placeholders beyond the pictures are left out."""
    for index, piece in enumerate(text.split(PLACEHOLDER)):
        picture = next(pictures, None) if index else None
        if picture is not None:
            yield picture
        if piece:
            yield piece


def _packed(picture: Image.Image, name: str) -> bytes:
    try:
        return pack(picture)
    except Exception as error:  # decoders raise anything
        raise MediaError(f"{name}: not a readable picture ({' '.join(str(error).split())})") from error
