"""Published shapes by name, as ``published.yaml`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workloads.errors import unknown_name

PUBLISHED = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Prompt:
    """How a family's chat template writes a conversation, which is ChatML in all of them.

    Attributes:
        image, video: what stands for a medium.
        system: the system message of conversations without one; empty for none.
        media_first: whether a message's pictures, then its videos, go before its texts.
    """

    image: str
    video: str
    system: str = ""
    media_first: bool = False


@dataclass(frozen=True)
class Family:
    """What models of one architecture have in common.

    Attributes:
        name: the model type in a Hugging Face config.
        tokens: special tokens and their ids.
        image_processor: settings of the class in transformers that is named under ``class``.
        config: what all their configurations say.
        names: what transformers calls some of the special tokens.
    """

    name: str
    tokens: Mapping[str, int]
    prompt: Prompt
    image_processor: Mapping[str, Any]
    config: Mapping[str, Any]
    names: Mapping[str, str]


@dataclass(frozen=True)
class Shape:
    """A model known by its sizes.

    Attributes:
        source: the hub repository that published them.
        billions: of parameters.
        config: the Hugging Face config, as far as it has a say in a model's work.
    """

    name: str
    family: Family
    source: str
    billions: float
    config: Mapping[str, Any]


def published() -> dict[str, Shape]:
    """Every shape by its name."""
    import yaml

    told = yaml.safe_load(PUBLISHED.read_text("utf-8"))
    families = {name: _family(name, **facts) for name, facts in told["families"].items()}
    return {name: _shape(name, families, **facts) for name, facts in told["shapes"].items()}


def find_shape(name: str) -> Shape:
    """A shape by its name; UsageError when there is none."""
    shapes = published()
    if name not in shapes:
        raise unknown_name("shape", name, shapes)
    return shapes[name]


def _family(name: str, prompt: Mapping[str, Any], names: Mapping[str, str] | None = None, **facts: Any) -> Family:
    return Family(name, prompt=Prompt(**prompt), names=names or {}, **facts)


def _shape(name: str, families: Mapping[str, Family], family: str, config: Mapping[str, Any], **facts: Any) -> Shape:
    return Shape(name, families[family], config={**families[family].config, **config}, **facts)
