"""The disk tier of one runner: entries found, read and checked, and written behind the answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, TypeVar

import torch
from torch import Tensor

from runners.engine.store.disk.codec import (
    EntrySizes,
    PortablePrefix,
    describe,
    prefix_key,
    read_media,
    read_prefix,
    read_symbols,
)
from runners.engine.store.disk.file import About, BadEntry, Description, Kind, read_description
from runners.engine.store.disk.folder import StoreFolder, ask_for
from runners.engine.store.disk.layers import StoredLayers
from runners.engine.store.disk.store import DiskStore
from runners.engine.store.entries import Entry, MediaEntry, PrefixEntry, packed
from runners.engine.store.symbols import Symbols, SymbolTable

T = TypeVar("T")

EXPECTED_BYTES = 1 << 20
"""Bytes of an expected file that the system is asked to read: what stands before keys and values, or most of it."""
UNCERTAIN_NS = 50_000_000
"""A directory that changed so shortly before it was listed may change again without a new time."""


@dataclass
class DiskTier:
    """Entries of one scope on disk, by the keys of the tiers: ``media/<content key>`` and ``prefix/<hash>``.

    Whatever is wrong with a file costs only that entry: it is removed, counted, and computed again. ``active`` is False
    while requests are answered that may leave no trace, such as warm-up.

    Keys and values of an entry are read when its layers are needed, see ``Unread``, from a file that stays open until
    ``release``; all the rest is read and checked at once.

    Attributes:
        scope: see ``scope_of``.
        about: whose entries it writes; the time is filled in.
        symbols: of the runner, to compare prefixes of other processes with its own.
        pin: whether tensors are read into pinned memory.
        whole: whether keys and values are read and checked at once, too.
    """

    store: DiskStore
    scope: str
    about: About
    sizes: EntrySizes
    symbols: SymbolTable
    pin: bool = False
    active: bool = True
    whole: bool = False

    def __post_init__(self) -> None:
        self._seen: set[str] = set()
        self._pending: set[str] = set()
        self._reading: list[BinaryIO] = []
        self._expected: dict[str, BinaryIO | None] = {}
        self._listed = (-1, -1)

    @property
    def _folder(self) -> StoreFolder:
        return self.store.folder

    def get(self, key: str) -> Entry | None:
        """The entry, read and checked but for what is ``unread``, and marked as just used; None without a good one."""
        if not self.active:
            return None
        entry = self.read(key)
        if entry is None:
            self.store.counts.missed += 1
            return None
        self.store.counts.read += 1
        self.mark_used(key)
        return entry

    def mark_used(self, key: str) -> None:
        """Note behind the answer that an entry was used, from whatever tier."""
        if self.active and self.store.writes:
            self.store.behind(lambda: self._folder.mark_used(self.scope, _name(key)))

    def read(self, key: str) -> Entry | None:
        """The entry, as ``get`` gives it; None where there is no good one. A bad one is removed."""
        stream = self.open(key)
        return None if stream is None else self.read_from(stream, key)

    def expect(self, key: str) -> None:
        """Open the file of an entry that will be asked for, and let the system read its beginning meanwhile."""
        if not self.active:
            return
        stream = self._expected[key] = self.open(key)
        if stream is not None:
            ask_for(stream.fileno(), 0, EXPECTED_BYTES)

    @contextmanager
    def reading_whole(self) -> Iterator[None]:
        """Read entries whole before they are used: nothing of them turns out to be damaged later."""
        self.whole = True
        try:
            yield
        finally:
            self.whole = False

    def release(self) -> None:
        """Close the files of which something is unread; nothing may be reading them any longer."""
        for stream in (*self._reading, *filter(None, self._expected.values())):
            stream.close()
        self._reading.clear()
        self._expected.clear()

    def open(self, key: str) -> BinaryIO | None:
        """Open the file of an entry; None where there is none that may be opened."""
        if key in self._expected:
            return self._expected.pop(key)
        try:
            return self._folder.open(self.scope, _name(key))
        except BadEntry:
            self._remove_bad(key, None)
        except OSError:  # there is none, or no room to open it
            pass
        return None

    def read_from(self, stream: BinaryIO, key: str) -> Entry | None:
        """The entry in an open file, as ``get`` gives it; None, and the file removed, where it is bad."""
        drop = partial(self._remove_bad, key, os.fstat(stream.fileno()))
        entry = self._checked(stream, key, partial(self._decode, drop=drop))
        if entry is None or entry.unread is None:
            stream.close()
        else:
            self._reading.append(stream)
        return entry

    def has(self, key: str) -> bool:
        """Whether an entry of a key lies there, good or bad, or is being written."""
        name = _name(key)
        return self.active and (name in self._pending or os.path.lexists(self._folder.path / self.scope / name))

    def fits(self, entry: Entry) -> bool:
        """Whether an entry can be written at all."""
        return self.active and self.store.writes and entry.nbytes <= self.store.settings.budget

    def put(self, key: str, entry: Entry, replaced: Sequence[str] = ()) -> None:
        """Write an entry behind the answer, then remove those that it ``replaced``; dropped where the queue is full.

        A medium is not written over one whose keys and values were computed in a context at least as exact.
        """
        if not self.fits(entry):
            return
        kept: MediaEntry | PortablePrefix
        if isinstance(entry, PrefixEntry):
            symbols, media = self.symbols.portable(entry.symbols.numpy())
            kept = PortablePrefix(replace(entry, symbols=torch.from_numpy(symbols)), media)
        else:
            kept = entry
        name = _name(key)

        def write() -> None:
            try:
                if not (isinstance(kept, MediaEntry) and self._covers(key, kept)):
                    self._write(key, kept)
                for old in replaced:
                    self._folder.remove(self.scope, _name(old))
            except (MemoryError, torch.OutOfMemoryError):
                self.store.counts.dropped += 1
            finally:
                self._pending.discard(name)

        self._pending.add(name)
        if not self.store.behind(write, entry.nbytes):
            self._pending.discard(name)
            self.store.counts.dropped += 1

    def key_of(self, symbols: Symbols) -> str:
        """The key of a prefix."""
        return f"prefix/{prefix_key(*self.symbols.portable(symbols))}"

    def prefixes(self) -> tuple[dict[str, Symbols], list[str]]:
        """Prefixes that appeared in the directory since the last call, with their symbols, and those that went."""
        if not self.active:
            return {}, []
        try:
            changed = (self._folder.path / self.scope).stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed == self._listed[0] and self._listed[1] - changed > UNCERTAIN_NS:
            return {}, []
        self._listed = (changed, time.time_ns())
        names = {name for name in self._folder.names(self.scope) if name.startswith("prefix-")}
        gone = sorted(self._seen - names)
        self._seen.difference_update(gone)
        new: dict[str, Symbols] = {}
        for name in sorted(names.difference(self._seen)):
            self._seen.add(name)
            stream = self.open(_key(name))
            if stream is not None:
                with stream:
                    symbols = self._checked(stream, _key(name), self._decode_symbols)
                if symbols is not None:
                    new[_key(name)] = symbols
        return new, [_key(name) for name in gone]

    def forget(self) -> None:
        """Forget which prefixes were seen, as symbols of media are given anew; files stay."""
        self._seen.clear()
        self._listed = (-1, -1)

    def _write(self, key: str, entry: MediaEntry | PortablePrefix) -> None:
        about = replace(self.about, created=time.time())
        kept = packed(entry) if self.sizes.packs and isinstance(entry, MediaEntry) else entry
        assert not isinstance(kept, PrefixEntry)
        description, tensors = describe(self.scope, _kind(key), key.partition("/")[2], about, kept)
        self.store.write(self.scope, _name(key), [description.header(), *tensors])

    def _covers(self, key: str, entry: MediaEntry) -> bool:
        """Whether the file of a medium holds as much as ``entry``, and as exactly."""
        try:
            with self._folder.open(self.scope, _name(key)) as stream:
                fields = read_description(stream).fields
        except (OSError, BadEntry):
            return False
        if entry.donor is None:
            return True
        return fields.get("position") is not None and bool(fields.get("exact") or not entry.donor.exact)

    def _checked(self, stream: BinaryIO, key: str, decode: Callable[[BinaryIO, Description], T]) -> T | None:
        """What ``decode`` makes of an open file; None where it is bad: then it is removed."""
        try:
            description = read_description(stream)
            if (description.scope, description.kind, description.key) != (self.scope, *key.split("/")):
                raise BadEntry("it is another entry")
            return decode(stream, description)
        except (BadEntry, OSError, ValueError):
            self._remove_bad(key, os.fstat(stream.fileno()))
            return None

    def _remove_bad(self, key: str, found: os.stat_result | None) -> None:
        self.store.counts.bad += 1
        self._folder.remove(self.scope, _name(key), found)

    def _decode(self, stream: BinaryIO, description: Description, drop: Callable[[], None]) -> Entry:
        entry: Entry
        if description.kind == "media":
            entry = read_media(stream, description, self.sizes, self.pin, drop)
        else:
            found = read_prefix(stream, description, self.sizes, self.pin, drop)
            entry = replace(found.entry, symbols=self._local(description, found.entry.symbols, found.media))
        if self.whole and isinstance(entry.unread, StoredLayers):
            entry.unread.read_all()
            complete = entry.complete()
            assert complete is not None
            return complete
        return entry

    def _decode_symbols(self, stream: BinaryIO, description: Description) -> Symbols:
        symbols: Symbols = self._local(description, *read_symbols(stream, description, self.sizes)).numpy()
        return symbols

    def _local(self, description: Description, symbols: Tensor, media: tuple[str, ...]) -> Tensor:
        portable: Symbols = symbols.numpy()
        if prefix_key(portable, media) != description.key:
            raise BadEntry("it holds another prefix than its name says")
        return torch.from_numpy(self.symbols.local(portable, media))


def _name(key: str) -> str:
    """Name of the file of a tier's key."""
    return f"{key.replace('/', '-')}.safetensors"


def _key(name: str) -> str:
    """The tier's key of the file of a prefix."""
    return name.removesuffix(".safetensors").replace("-", "/")


def _kind(key: str) -> Kind:
    return "media" if key.startswith("media/") else "prefix"
