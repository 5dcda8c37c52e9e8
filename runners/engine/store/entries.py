"""Store entries: encoder output of a medium with its donor keys and values, and exact prefixes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from runners.engine.kv.quantise import Quantised, quantise_channels, restore_channels
from runners.engine.kv.read_ahead import Unread
from runners.engine.shapes import MediaGrid


@dataclass(frozen=True)
class Probe:
    """Queries and attention outputs of a donor in some layers, which the drift probe compares with fresh ones.

    Attributes:
        q: queries before RoPE, ``(layers, heads, tokens, head_dim)``, quantised.
        outputs: sketches of the tokens' attention outputs, ``(layers, tokens, width)``.
    """

    q: Quantised
    outputs: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors."""
        return self.q.nbytes + self.outputs.nbytes

    def copied(self, copy: Callable[[Tensor], Tensor]) -> Probe:
        """Copy it, every tensor by ``copy``."""
        q = replace(self.q, values=copy(self.q.values), scale=copy(self.q.scale))
        return Probe(q, copy(self.outputs))

    def only(self, rows: list[int]) -> Probe:
        """Take some of its layers, by their index in the probe."""
        return Probe(Quantised(self.q.values[rows], self.q.scale[rows], self.q.dtype), self.outputs[rows])


@dataclass(frozen=True)
class DonorKV:
    """Keys and values of a medium, computed in an earlier request, its donor: the KV part of a media entry.

    Attributes:
        k: before RoPE, ``(layers, kv_heads, tokens, head_dim)``.
        v: same shape.
        position: position of the medium's start in the donor request.
        exact: whether everything before the medium was computed there, not reused.
        probe: see ``Probe``; None unless the method uses one.
        unread: reads ``k`` and ``v``, whose numbers are undefined until then; None where they are there.
    """

    k: Tensor
    v: Tensor
    position: int
    exact: bool
    probe: Probe | None = None
    unread: Unread | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors."""
        return self.k.nbytes + self.v.nbytes + (self.probe.nbytes if self.probe else 0)

    def copied(self, copy: Callable[[Tensor], Tensor]) -> DonorKV:
        """Copy it, every tensor by ``copy``."""
        probe = self.probe.copied(copy) if self.probe else None
        return replace(self, k=copy(self.k), v=copy(self.v), probe=probe)


@dataclass(frozen=True)
class MediaEntry:
    """A medium's encoder output, and its donor where the method reuses keys and values.

    Attributes:
        features: ``(tokens, (1 + deepstack) * hidden)``.
        on_host: whether the tensors lie in the host's memory and have to be fetched.
        on_disk: whether they were just read from the disk tier.
    """

    grid: MediaGrid
    features: Tensor
    donor: DonorKV | None = None
    on_host: bool = False
    on_disk: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors."""
        return self.features.nbytes + (self.donor.nbytes if self.donor else 0)

    @property
    def unread(self) -> Unread | None:
        """See ``DonorKV``."""
        return None if self.donor is None else self.donor.unread

    def complete(self) -> MediaEntry | None:
        """The entry when all of it was read; None where some of it was not."""
        if self.unread is not None and not self.unread.complete:
            return None
        return replace(self, donor=self.donor and replace(self.donor, unread=None))

    def for_host(self, copy: Callable[[Tensor], Tensor]) -> MediaEntry:
        """Make the entry of the host tier, every tensor copied by ``copy``."""
        donor = self.donor.copied(copy) if self.donor else None
        return replace(self, features=copy(self.features), donor=donor, on_host=True)


@dataclass(frozen=True)
class PrefixEntry:
    """Exact keys (after RoPE) and values of the first tokens of a request.

    Attributes:
        symbols: the tokens, ``(tokens,)`` int64; see ``prompt.Layout``.
        k, v: each ``(layers, kv_heads, tokens, head_dim)``.
        on_host: whether they lie in the host's memory and have to be fetched.
        on_disk: whether they were just read from the disk tier.
        unread: as of ``DonorKV``.
    """

    symbols: Tensor
    k: Tensor
    v: Tensor
    on_host: bool = False
    on_disk: bool = False
    unread: Unread | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors."""
        return self.symbols.nbytes + self.k.nbytes + self.v.nbytes

    def complete(self) -> PrefixEntry | None:
        """The entry when all of it was read; None where some of it was not."""
        return None if self.unread is not None and not self.unread.complete else replace(self, unread=None)

    def for_host(self, copy: Callable[[Tensor], Tensor]) -> PrefixEntry:
        """Make the entry of the host tier, keys and values copied by ``copy``."""
        return replace(self, k=copy(self.k), v=copy(self.v), on_host=True)


@dataclass(frozen=True)
class PackedMedia:
    """A media entry whose donor's keys and values are kept in 8 bits, with a scale for each channel.

    Attributes:
        entry: the entry, keys and values of its donor left empty.
        k, v: rows are channels, ``(layers, kv_heads, head_dim, tokens)``.
    """

    entry: MediaEntry
    k: Quantised
    v: Quantised

    @classmethod
    def of(cls, entry: MediaEntry, donor: DonorKV) -> PackedMedia:
        """Pack an entry with that donor."""
        empty = replace(donor, k=donor.k.new_empty(0), v=donor.v.new_empty(0))
        return cls(replace(entry, donor=empty), quantise_channels(donor.k), quantise_channels(donor.v))

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors."""
        return self.entry.nbytes + self.k.nbytes + self.v.nbytes

    def restore(self) -> MediaEntry:
        """Make the entry again; its keys and values differ from those that were packed by rounding to 8 bits."""
        assert self.entry.donor is not None
        donor = replace(self.entry.donor, k=restore_channels(self.k), v=restore_channels(self.v))
        return replace(self.entry, donor=donor)


Entry = MediaEntry | PrefixEntry
Stored = Entry | PackedMedia


def packed(entry: Entry) -> Stored:
    """Pack the donor of a medium; exact prefixes stay exact."""
    return PackedMedia.of(entry, entry.donor) if isinstance(entry, MediaEntry) and entry.donor is not None else entry


def restored(stored: Stored) -> Entry:
    """Undo ``packed`` up to rounding."""
    return stored.restore() if isinstance(stored, PackedMedia) else stored
