"""The tokens computed in a layer, and what depends on the set alone."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from runners.engine.attention.view import LookBack
from runners.engine.prompt.tensors import PromptTensors


class TokenSet:
    """Some tokens of a prompt, see ``Rows``. What is derived from them is worked out once, when it is first needed.

    Attributes:
        tokens: their indices, ascending, ``(tokens,)`` on the CPU.
        everything: whether they are all of the prompt's tokens.
    """

    def __init__(self, tokens: Tensor, prompt: PromptTensors, length: int) -> None:
        self.tokens = tokens
        self.everything = len(tokens) == length
        self._prompt, self._length = prompt, length

    @cached_property
    def at(self) -> Tensor:
        """Their indices on the device."""
        return self.tokens.to(self._prompt.hidden.device, non_blocking=True)

    @property
    def slots(self) -> slice | Tensor:
        """Where in a KV cache their keys and values belong."""
        return slice(self._length) if self.everything else self.at

    @cached_property
    def angles(self) -> tuple[Tensor, Tensor]:
        """See ``Rows``."""
        return self._prompt.cos[self.slots], self._prompt.sin[self.slots]

    @cached_property
    def view(self) -> LookBack | None:
        """See ``Rows``."""
        return None if self.everything else LookBack(self.tokens, self.at)

    def deepstack(self, layer: int) -> Tensor | None:
        """See ``Rows``."""
        added = self._prompt.deepstack
        return None if added is None or layer >= len(added) else added[layer, self.at]

    @cached_property
    def pairs(self) -> float:
        """How many query-key pairs their attention has in a layer."""
        return float((self.tokens + 1).sum())
