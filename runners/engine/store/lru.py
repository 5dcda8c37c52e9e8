"""A mapping with a byte budget and eviction of the least recently used values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """A value that knows how many bytes it takes."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        ...


V = TypeVar("V", bound=Sized)


class ByteBudgetLru(Generic[V]):
    """Keeps values within a budget of bytes; ``peek`` and iteration leave the order of use unchanged."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._values: OrderedDict[str, V] = OrderedDict()
        self._nbytes = 0
        self._watchers: list[Callable[[str, V], None]] = []

    def on_eviction(self, watcher: Callable[[str, V], None]) -> None:
        """Call ``watcher`` with key and value of every value that leaves the mapping, for whatever reason."""
        self._watchers.append(watcher)

    @property
    def nbytes(self) -> int:
        """Bytes of all values, never more than the budget."""
        return self._nbytes

    def get(self, key: str) -> V | None:
        """The value, marked as just used; None when there is none."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def peek(self, key: str) -> V | None:
        """The value, its place in the order unchanged."""
        return self._values.get(key)

    def fits(self, value: V) -> bool:
        """Whether ``value`` alone does not exceed the budget."""
        return value.nbytes <= self._budget

    def put(self, key: str, value: V) -> bool:
        """Put ``value`` under ``key``, evicting others as needed; False when it alone exceeds the budget.

        A refused value leaves the store as it was.
        """
        if not self.fits(value):
            return False
        self.discard(key)
        while self._nbytes + value.nbytes > self._budget:
            self.discard(next(iter(self._values)))
        self._values[key] = value
        self._nbytes += value.nbytes
        return True

    def discard(self, key: str) -> None:
        """Remove ``key``, if it is there."""
        value = self._values.pop(key, None)
        if value is not None:
            self._nbytes -= value.nbytes
            for watcher in self._watchers:
                watcher(key, value)

    def clear(self) -> None:
        """Forget everything."""
        for key in list(self._values):
            self.discard(key)

    def items(self) -> Iterator[tuple[str, V]]:
        """Keys and values, the least recently used first."""
        return iter(self._values.items())

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)
