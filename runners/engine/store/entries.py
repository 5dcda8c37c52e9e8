"""Store entries: encoder output of a medium with its donor keys and values, and exact prefixes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from runners.engine.kv.quantise import Quantised
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
    """

    k: Tensor
    v: Tensor
    position: int
    exact: bool
    probe: Probe | None = None

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
    """

    symbols: Tensor
    k: Tensor
    v: Tensor
    on_host: bool = False
    on_disk: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors."""
        return self.symbols.nbytes + self.k.nbytes + self.v.nbytes

    def for_host(self, copy: Callable[[Tensor], Tensor]) -> PrefixEntry:
        """Make the entry of the host tier, keys and values copied by ``copy``."""
        return replace(self, k=copy(self.k), v=copy(self.v), on_host=True)


Entry = MediaEntry | PrefixEntry
