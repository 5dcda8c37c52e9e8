"""The chat template of a model: found among its files, and rendered within bounds of time, memory and length.

transformers renders it in jinja's sandbox, which keeps it from the files and modules of this process, but not from
looping or from making gigabytes of text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from runners.engine.adapters.bounded import Exceeded, bounded
from runners.engine.errors import PromptError, UnsupportedModel, first_line
from workloads.reading import in_one_line

SECONDS = 1.0  # published templates take milliseconds
ROOM = 256 << 20  # bytes
JINJA = "chat_template.jinja"
FILE = "chat_template_file"  # attribute of a tokenizer: the file that its template came from

Chat = Sequence[dict[str, Any]]


def adopt_template(tokenizer: Any, files: Collection[str], read: Callable[[str], Mapping[str, Any]]) -> None:
    """Give a tokenizer the chat template of its model's processor, if that has one of its own.

    ``chat_template.jinja`` is the tokenizer's already; older checkpoints keep the template in a file of the processor,
    beside a tokenizer that has none, or that of the text model alone.

    Args:
        files: names of the model's files.
        read: reads a JSON file of the model; an empty mapping where it has no such file.
    """
    setattr(tokenizer, FILE, JINJA if JINJA in files else "tokenizer_config.json")
    for name in ("processor_config.json", "chat_template.json"):
        template = read(name).get("chat_template")
        if template is not None:
            tokenizer.chat_template = template
            setattr(tokenizer, FILE, name)
            return


def require_template(tokenizer: Any) -> None:
    """UnsupportedModel for a chat template that is none, or that takes more time or memory than any may.

    Whether it takes pictures, and messages of all roles, only requests can tell.
    """
    from jinja2 import TemplateSyntaxError

    templates = tokenizer.chat_template
    if not isinstance(templates.get("default") if isinstance(templates, dict) else templates, str):
        raise UnsupportedModel(f"{template_file(tokenizer)}: the chat template must be a text")
    try:
        with bounded(SECONDS, ROOM):
            _apply(tokenizer, [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}], begun=False)
    except (TemplateSyntaxError, RecursionError) as error:
        raise UnsupportedModel(
            f"{template_file(tokenizer)} is no chat template: {in_one_line(first_line(error))}"
        ) from error
    except Exceeded as error:
        raise UnsupportedModel(f"{template_file(tokenizer)}: rendering the chat template {error}") from error
    except Exception:  # it refuses this message: it may take others
        return


def apply_template(tokenizer: Any, chat: Chat, begun: bool) -> str:
    """Render messages as the text of a prompt.

    Args:
        begun: whether the last message is the beginning of the answer.

    Raises:
        PromptError: the template refuses the messages, or takes too much time or memory.
    """
    try:
        with bounded(SECONDS, ROOM):
            text = _apply(tokenizer, chat, begun)
        text.encode()  # a lone surrogate has no UTF-8, and no tokens
    except Exceeded as error:
        raise PromptError(f"the prompt cannot be rendered ({template_file(tokenizer)} {error})") from error
    except Exception as error:
        hint = "; it may be made for texts alone" if isinstance(error, TypeError) else ""
        reason = in_one_line(first_line(error))
        raise PromptError(f"the prompt cannot be rendered ({template_file(tokenizer)}: {reason}{hint})") from error
    return text


def _apply(tokenizer: Any, chat: Chat, begun: bool) -> str:
    text: str = tokenizer.apply_chat_template(
        chat, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
    )
    return text


def template_file(tokenizer: Any) -> str:
    """Name the file that a tokenizer's chat template came from."""
    return str(getattr(tokenizer, FILE, "the chat template"))
