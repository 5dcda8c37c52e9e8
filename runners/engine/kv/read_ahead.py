"""Reading ahead: stored keys and values read from disk layer by layer, while other layers are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Thread
from typing import Protocol

Check = Callable[[], None]
"""Ends the reading of a layer, which must not be used before; raises ``DamagedEntry`` where it is damaged."""
Arrived = Callable[[int], None]
"""Is called with every layer that is in place."""


class Unread(Protocol):
    """The keys and values of one entry that are still to be read into its tensors, the first layer first."""

    @property
    def complete(self) -> bool:
        """Whether every layer was read and checked."""
        ...

    def read(self, layer: int) -> Check:
        """Read a layer, which was not read before, after those before it.

        Raises:
            DamagedEntry: the bytes cannot be read.
        """
        ...


class Reading(Protocol):
    """Several entries with equally many layers being read, a layer of all of them before the next of any."""

    def wait(self, layer: int) -> None:
        """Wait until a layer is in place.

        Raises:
            DamagedEntry: this layer, or one before it, is damaged.
            BaseException: what else ended the reading.
        """
        ...

    def stop(self) -> None:
        """End the reading at the next layer, and wait for that; a layer that is not in place then never will be."""
        ...


class ReadInTurn:
    """Reads a layer when it is waited for: for few bytes, which the system has fetched from the disk meanwhile."""

    def __init__(self, unread: Sequence[Unread], arrived: Arrived) -> None:
        self._unread, self._arrived = unread, arrived
        self._in_place = 0

    def wait(self, layer: int) -> None:
        """See ``Reading``."""
        while self._in_place <= layer:
            for unread in self._unread:
                unread.read(self._in_place)()
            self._arrived(self._in_place)
            self._in_place += 1

    def stop(self) -> None:
        """See ``Reading``."""


class ReadAhead:
    """Reads layers in a thread; another one checks a layer meanwhile, so that reading waits for nothing but the disk.

    It is ahead by the tensors of the entries at most, which are allocated before it starts.
    """

    def __init__(self, unread: Sequence[Unread], layers: int, arrived: Arrived) -> None:
        self._unread, self._layers, self._arrived = unread, layers, arrived
        self._in_place = 0
        self._failed: BaseException | None = None
        self._changed = Condition()
        self._thread = Thread(target=self._read, name="read-ahead", daemon=True)
        self._thread.start()

    def wait(self, layer: int) -> None:
        """See ``Reading``."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_place > layer or self._failed is not None)
            if self._in_place <= layer and self._failed is not None:
                raise self._failed

    def stop(self) -> None:
        """See ``Reading``."""
        self._fail(RuntimeError("the reading of stored keys and values was stopped"))
        self._thread.join()

    def _read(self) -> None:
        try:
            with ThreadPoolExecutor(1, "read-ahead-check") as checker:
                for layer in range(self._layers):
                    if self._failed is not None:
                        return
                    checker.submit(self._check, layer, [unread.read(layer) for unread in self._unread])
        except BaseException as error:  # raised again by ``wait``, once the layers before it are checked
            self._fail(error)

    def _check(self, layer: int, checks: Sequence[Check]) -> None:
        if self._failed is not None:
            return
        try:
            for check in checks:
                check()
            self._arrived(layer)
        except BaseException as error:  # raised again by ``wait``
            self._fail(error)
            return
        with self._changed:
            self._in_place = layer + 1
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failed = self._failed or error
            self._changed.notify_all()
