"""A radix tree over token symbols: which stored sequence shares the longest beginning with a new one?

The index of SGLang's RadixAttention (arXiv 2312.07104), here over whole stored sequences: every node names the
sequences that run through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from runners.engine.store.symbols import Symbols


@dataclass
class _Node:
    """A run of symbols; ``through`` are the sequences it belongs to, ``ending`` those that end with it.

    Both in the order they were added: the order of a set of names would differ from process to process.
    """

    symbols: Symbols
    children: dict[int, _Node] = field(default_factory=dict)
    through: dict[str, None] = field(default_factory=dict)
    ending: dict[str, None] = field(default_factory=dict)


class RadixIndex:
    """Named symbol sequences, found by their beginnings."""

    def __init__(self) -> None:
        self._root = _Node(np.empty(0, np.int64))

    def longest_match(self, symbols: Symbols, preferred: Callable[[str], bool] | None = None) -> tuple[int, str | None]:
        """How many first symbols some sequence shares with ``symbols``, and the name of one that does.

        Args:
            preferred: of several such names, says which to take; the first where it takes none.
        """
        length, last = 0, None
        for node, common in self._walk(symbols):
            length, last = length + common, node
        if last is None:
            return length, None
        names = last.through if preferred is None else filter(preferred, last.through)
        return length, next(iter(names), next(iter(last.through)))

    def beginnings_of(self, symbols: Symbols) -> list[str]:
        """Names of the sequences that ``symbols`` begins with, itself included."""
        return [name for node, common in self._walk(symbols) if common == len(node.symbols) for name in node.ending]

    def add(self, symbols: Symbols, name: str) -> None:
        """Index a sequence."""
        node = self._root
        while len(symbols):
            child = node.children.get(int(symbols[0]))
            if child is None:
                child = node.children[int(symbols[0])] = _Node(symbols)
            common = common_length(symbols, child.symbols)
            if common < len(child.symbols):
                child = node.children[int(symbols[0])] = _split(child, common)
            child.through[name] = None
            symbols, node = symbols[common:], child
        node.ending[name] = None

    def remove(self, symbols: Symbols, name: str) -> None:
        """Forget a sequence that was added, and the nodes only it ran through."""
        node = self._root
        while len(symbols):
            child = node.children[int(symbols[0])]
            child.through.pop(name, None)
            if not child.through:
                del node.children[int(symbols[0])]
                return
            symbols, node = symbols[len(child.symbols) :], child
        node.ending.pop(name, None)

    def _walk(self, symbols: Symbols) -> Iterator[tuple[_Node, int]]:
        """The nodes along ``symbols`` and how many of each node's symbols match; the last may match in part."""
        node = self._root
        while len(symbols) and (child := node.children.get(int(symbols[0]))) is not None:
            common = common_length(symbols, child.symbols)
            yield child, common
            if common < len(child.symbols):
                return
            symbols, node = symbols[common:], child


def common_length(first: Symbols, second: Symbols) -> int:
    """Length of the common beginning."""
    shorter = min(len(first), len(second))
    differs = first[:shorter] != second[:shorter]
    return int(differs.argmax()) if differs.any() else shorter


def _split(node: _Node, at: int) -> _Node:
    """The first ``at`` symbols of a node as its new parent."""
    node.symbols, head = node.symbols[at:], node.symbols[:at]
    return _Node(head, {int(node.symbols[0]): node}, dict(node.through))
