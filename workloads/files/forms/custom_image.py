"""What vLLM's ``bench serve`` calls ``custom_image``: a prompt and its pictures, to which an answer may be added.

    {"prompt": "How many red blocks are in these pictures?", "image_files": ["a.png", "b.png"]}

Of vllm-project/vllm, ``vllm/benchmarks/datasets``. There, too, the pictures follow the text.
"""

from __future__ import annotations

from typing import Any

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import read_answer
from workloads.files.forms.fields import text, texts
from workloads.files.forms.talk import Exchange, conversation
from workloads.records import Conversation, Media


def read_custom_image(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``workloads.files.forms.ReadLine``."""
    prompt = text(data, "prompt")
    if not prompt.strip():
        raise ValueError("prompt is empty")
    pictures = [_picture(url, index, files) for index, url in enumerate(texts(data, "image_files"))]
    return conversation(data, default_id, "", [Exchange((prompt, *pictures), read_answer(data))])


def _picture(url: str, index: int, files: Attachments) -> Media:
    try:
        return files.load(url)
    except ValueError as error:
        raise ValueError(f"image_files[{index}] {error}") from error
