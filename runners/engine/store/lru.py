"""A mapping with a byte budget that evicts what was used longest ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Something whose memory is known."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        ...


V = TypeVar("V", bound=Sized)


class ByteBudgetLru(Generic[V]):
    """Holds values while their bytes fit ``budget``; ``peek`` and iteration leave the order of use alone."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._values: OrderedDict[str, V] = OrderedDict()
        self._held = 0

    @property
    def nbytes(self) -> int:
        """Bytes held, never more than the budget."""
        return self._held

    def get(self, key: str) -> V | None:
        """The value, marked as just used; None when it is not held."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def peek(self, key: str) -> V | None:
        """The value, its place in the order unchanged."""
        return self._values.get(key)

    def put(self, key: str, value: V) -> bool:
        """Hold ``value`` under ``key``, evicting others as needed; False when it alone exceeds the budget.

        A refused value leaves the store as it was.
        """
        if value.nbytes > self._budget:
            return False
        self.discard(key)
        while self._held + value.nbytes > self._budget:
            _, oldest = self._values.popitem(last=False)
            self._held -= oldest.nbytes
        self._values[key] = value
        self._held += value.nbytes
        return True

    def discard(self, key: str) -> None:
        """Forget ``key`` if it is held."""
        value = self._values.pop(key, None)
        if value is not None:
            self._held -= value.nbytes

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._held = 0

    def items(self) -> Iterator[tuple[str, V]]:
        """Keys and values, the least recently used first."""
        return iter(self._values.items())

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)
