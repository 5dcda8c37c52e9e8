"""What vLLM's ``bench serve`` calls ``custom_image``: a prompt and its pictures, to which an answer may be added.

    {"prompt": "How many red blocks are in these pictures?", "image_files": ["a.png", "b.png"]}

Of vllm-project/vllm, ``vllm/benchmarks/datasets``. There, too, the pictures follow the text; where it says ``<image>``,
they stand in these places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workloads.files.attachments import Attachments
from workloads.files.forms.answers import read_answer
from workloads.files.forms.beside import placed
from workloads.files.forms.exchanges import Exchange, conversation
from workloads.files.forms.line import Line, SomeTexts, read_line
from workloads.reading import Text
from workloads.records import Conversation


@dataclass(frozen=True, kw_only=True)
class CustomImageLine(Line):
    """A line of this form."""

    prompt: Text
    image_files: SomeTexts


def read_custom_image(data: dict[str, Any], default_id: str, files: Attachments) -> Conversation:
    """See ``workloads.files.forms.ReadLine``."""
    line = read_line(data, CustomImageLine)
    pictures = [files.load(url, "image", f"image_files[{index}]") for index, url in enumerate(line.image_files)]
    content = placed([line.prompt], {"image": pictures, "video": ()})
    return conversation(line, line.own_id(default_id), "", [Exchange(content, read_answer(line))])
