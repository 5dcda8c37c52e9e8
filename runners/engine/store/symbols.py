"""Token symbols: the numbers by which prefixes are compared, in this process and between processes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Symbols = NDArray[np.int64]

SPAN = 1 << 32
"""Numbers that every medium has to itself, more than any has tokens."""


class SymbolTable:
    """Assigns every token of every medium a negative number of its own, by which prefixes are compared.

    Token ``i`` of the medium that was met as number ``m`` is ``-1 - (m * SPAN + i)``; text keeps its token ids. The
    numbers hold in one process; ``portable`` and ``local`` translate to and from a form that holds in all of them.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def clear(self) -> None:
        """Forget all media."""
        self._numbers.clear()

    def symbols(self, key: str, tokens: int) -> Symbols:
        """The numbers of a medium's tokens, ``(tokens,)``."""
        return -1 - self._number(key) * SPAN - np.arange(tokens)

    def portable(self, symbols: Symbols) -> tuple[Symbols, tuple[str, ...]]:
        """Renumber media by their first appearance; returns the symbols, and the content keys in that order."""
        vision = symbols < 0
        numbers, offsets = np.divmod(-1 - symbols[vision], SPAN)
        met = list(dict.fromkeys(numbers.tolist()))
        keys = {number: key for key, number in self._numbers.items()}
        renumbered = symbols.copy()
        places = {number: place for place, number in enumerate(met)}
        renumbered[vision] = -1 - np.array([places[number] for number in numbers.tolist()], np.int64) * SPAN - offsets
        return renumbered, tuple(keys[number] for number in met)

    def local(self, symbols: Symbols, media: Sequence[str]) -> Symbols:
        """Undo ``portable``, in this process or another one; ValueError where a number stands for no medium."""
        vision = symbols < 0
        numbers, offsets = np.divmod(-1 - symbols[vision], SPAN)
        if len(numbers) and int(numbers.max()) >= len(media):
            raise ValueError("a symbol of a medium that is not named")
        found = symbols.copy()
        mine = np.array([self._number(key) for key in media], np.int64)
        found[vision] = -1 - (mine[numbers] if len(numbers) else numbers) * SPAN - offsets
        return found

    def _number(self, key: str) -> int:
        return self._numbers.setdefault(key, len(self._numbers))
