"""Turn entries into what a file describes and holds, and back, checked against the model that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, BinaryIO

import torch
from annotated_types import Interval, Len
from blake3 import blake3
from torch import Tensor

from runners.engine.kv.fetch import KV
from runners.engine.kv.quantise import Quantised
from runners.engine.shapes import MediaGrid
from runners.engine.store.disk.file import (
    About,
    BadEntry,
    Description,
    Kind,
    StoredTensor,
    digest_of,
    read_tensors,
)
from runners.engine.store.disk.layers import StoredLayers, bytes_of
from runners.engine.store.entries import DonorKV, MediaEntry, PackedMedia, PrefixEntry, Probe
from runners.engine.store.symbols import Symbols
from workloads.errors import UsageError
from workloads.reading import check
from workloads.records import MediaKind

DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int8: "I8",
}
NAMES: dict[str, torch.dtype] = {name: dtype for dtype, name in DTYPES.items()}
Whole = Annotated[int, Interval(ge=0, le=1 << 31)]


@dataclass(frozen=True)
class EntrySizes:
    """Sizes that the entries of a model have, all but the number of tokens.

    Attributes:
        features: width of a row of encoder output.
        probes: layers of a donor's probe; 0 where it has none.
        sketch: width of a sketch in a probe.
        media_tokens: number of tokens of a medium of a size.
        context: most tokens of a prompt, and so of an entry.
        packs: whether keys and values of donors are in 8 bits.
    """

    layers: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    features: int
    heads: int
    probes: int
    sketch: int
    media_tokens: Callable[[MediaGrid], int]
    context: int
    packs: bool = False


@dataclass(frozen=True)
class _Grid:
    kind: MediaKind
    time: Whole
    height: Whole
    width: Whole
    seconds_per_step: float
    timestamps: Annotated[tuple[float, ...], Len(0, 50_000)]


@dataclass(frozen=True)
class _MediaFields:
    grid: _Grid
    position: Whole | None
    exact: bool


@dataclass(frozen=True)
class _PrefixFields:
    media: Annotated[tuple[Annotated[str, Len(64, 64)], ...], Len(0, 10_000)]


@dataclass(frozen=True)
class PortablePrefix:
    """An exact prefix whose symbols hold in every process, see ``SymbolTable.portable``."""

    entry: PrefixEntry
    media: tuple[str, ...]


def describe(
    scope: str, kind: Kind, key: str, about: About, entry: MediaEntry | PackedMedia | PortablePrefix
) -> tuple[Description, list[memoryview]]:
    """Describe an entry, and give the bytes of its tensors in order. Copies what lies on the device.

    Keys and values stand at the end, layer by layer: see ``StoredLayers``.
    """
    fields: dict[str, Any]
    kv: KV | None = None
    if isinstance(entry, PackedMedia):
        fields, named = _fields_of(entry.entry), _tensors_of(entry.entry)
        named["kv.scale"] = torch.stack((entry.k.scale, entry.v.scale), dim=1)
        kv = entry.k.values, entry.v.values
    elif isinstance(entry, MediaEntry):
        fields, named = _fields_of(entry), _tensors_of(entry)
        if entry.donor is not None:
            kv = entry.donor.k, entry.donor.v
    else:
        fields, named = {"media": list(entry.media)}, {"symbols": entry.entry.symbols}
        kv = entry.entry.k, entry.entry.v
    pieces = [bytes_of(tensor) for tensor in named.values()]
    stored = [
        StoredTensor(name, DTYPES[tensor.dtype], tuple(tensor.shape), (digest_of(piece),))  # type: ignore[arg-type]
        for (name, tensor), piece in zip(named.items(), pieces, strict=True)
    ]
    if kv is not None:
        name, shape = "kv" if kv[0].dtype != torch.int8 else "kv.q", (len(kv[0]), 2, *kv[0].shape[1:])
        layers = [tuple(bytes_of(tensor[layer]) for tensor in kv) for layer in range(len(kv[0]))]
        digests = tuple(digest_of(*layer) for layer in layers)
        stored.append(StoredTensor(name, DTYPES[kv[0].dtype], shape, digests))  # type: ignore[arg-type]
        pieces += [piece for layer in layers for piece in layer]
    return Description(scope, kind, key, about, fields, tuple(stored)), pieces


def _fields_of(entry: MediaEntry) -> dict[str, Any]:
    donor = entry.donor
    return {
        "grid": asdict(entry.grid),
        "position": None if donor is None else donor.position,
        "exact": donor is not None and donor.exact,
    }


def _tensors_of(entry: MediaEntry) -> dict[str, Tensor]:
    """The tensors of a medium by name, but for keys and values."""
    named = {"features": entry.features}
    if entry.donor is not None and (probe := entry.donor.probe) is not None:
        named |= {"probe.q": probe.q.values, "probe.scale": probe.q.scale, "probe.outputs": probe.outputs}
    return named


def read_media(
    stream: BinaryIO, description: Description, sizes: EntrySizes, pin: bool, drop: Callable[[], None]
) -> MediaEntry:
    """Read a medium from the file that ``description`` was read from, but for keys and values: they are ``unread``.

    Args:
        pin: whether the tensors lie in pinned memory, so that copies to a GPU do not block.
        drop: see ``StoredLayers``.

    Raises:
        BadEntry: shapes or numbers are not those of the model, or a tensor fails its checksum.
    """
    fields = _checked(description, _MediaFields)
    tokens, donor = _tokens(description, sizes), fields.position is not None
    _require_tokens(sizes, MediaGrid(**asdict(fields.grid)), tokens)
    _require_shapes(description.tensors, _media_shapes(sizes, tokens, donor))
    found = _read(stream, description.tensors[: -1 if donor else None], pin)
    kv = None
    if fields.position is not None:
        probe = None
        if "probe.q" in found:
            queries = Quantised(found["probe.q"], found["probe.scale"], sizes.dtype)
            probe = Probe(queries, found["probe.outputs"])
        k, v = _room(sizes, tokens, pin)
        unread = StoredLayers(stream, description.tensors[-1], (k, v), found.get("kv.scale"), drop)
        kv = DonorKV(k, v, fields.position, fields.exact, probe, unread)
    return MediaEntry(MediaGrid(**asdict(fields.grid)), found["features"], kv, on_host=True, on_disk=True)


def read_prefix(
    stream: BinaryIO, description: Description, sizes: EntrySizes, pin: bool, drop: Callable[[], None]
) -> PortablePrefix:
    """Read an exact prefix; arguments and errors as of ``read_media``."""
    symbols, media = read_symbols(stream, description, sizes)
    k, v = _room(sizes, len(symbols), pin)
    unread = StoredLayers(stream, description.tensors[-1], (k, v), None, drop)
    return PortablePrefix(PrefixEntry(symbols, k, v, on_host=True, on_disk=True, unread=unread), media)


def _room(sizes: EntrySizes, tokens: int, pin: bool) -> KV:
    """Memory for the keys and values of an entry."""
    shape = (sizes.layers, sizes.kv_heads, tokens, sizes.head_dim)
    return torch.empty(shape, dtype=sizes.dtype, pin_memory=pin), torch.empty(shape, dtype=sizes.dtype, pin_memory=pin)


def read_symbols(stream: BinaryIO, description: Description, sizes: EntrySizes) -> tuple[Tensor, tuple[str, ...]]:
    """Read the symbols of a prefix alone, and the content keys of its media; errors as of ``read_media``."""
    fields = _checked(description, _PrefixFields)
    _require_shapes(description.tensors, _prefix_shapes(sizes, _tokens(description, sizes)))
    return _read(stream, description.tensors[:1], pin=False)["symbols"], fields.media


def _checked(description: Description, kind: Any) -> Any:
    try:
        return check(description.fields, kind)
    except UsageError as error:
        raise BadEntry(f"its fields are wrong: {error}") from error


def _tokens(description: Description, sizes: EntrySizes) -> int:
    """Tokens of an entry, by its first tensor; BadEntry where no prompt has so many."""
    shape = description.tensors[0].shape
    tokens = shape[0] if shape else 0
    if not 0 < tokens <= sizes.context:
        raise BadEntry(f"it has {tokens} tokens, and a prompt {sizes.context} at most")
    return tokens


def _require_tokens(sizes: EntrySizes, grid: MediaGrid, tokens: int) -> None:
    try:
        expected = sizes.media_tokens(grid)
    except (ArithmeticError, ValueError, LookupError) as error:
        raise BadEntry("its medium has no such size") from error
    if tokens != expected:
        raise BadEntry(f"it has {tokens} tokens, and its medium has {expected}")


Shapes = dict[str, tuple[str, tuple[int, ...], int]]
"""Type, shape and number of parts by name."""


def _media_shapes(sizes: EntrySizes, tokens: int, donor: bool) -> Shapes:
    """The tensors of a medium, in their order."""
    number = DTYPES[sizes.dtype]
    shapes: Shapes = {"features": (number, (tokens, sizes.features), 1)}
    if donor and sizes.probes:
        shapes["probe.q"] = "I8", (sizes.probes, sizes.heads, tokens, sizes.head_dim), 1
        shapes["probe.scale"] = "F32", (sizes.probes, sizes.heads, tokens, 1), 1
        shapes["probe.outputs"] = number, (sizes.probes, tokens, sizes.sketch), 1
    if donor and sizes.packs:
        channels = (sizes.layers, 2, sizes.kv_heads, sizes.head_dim)
        shapes |= {"kv.scale": ("F32", (*channels, 1), 1), "kv.q": ("I8", (*channels, tokens), sizes.layers)}
    elif donor:
        shapes["kv"] = _kv_shape(sizes, tokens)
    return shapes


def _prefix_shapes(sizes: EntrySizes, tokens: int) -> Shapes:
    return {"symbols": ("I64", (tokens,), 1), "kv": _kv_shape(sizes, tokens)}


def _kv_shape(sizes: EntrySizes, tokens: int) -> tuple[str, tuple[int, ...], int]:
    shape = (sizes.layers, 2, sizes.kv_heads, tokens, sizes.head_dim)
    return DTYPES[sizes.dtype], shape, sizes.layers


def _require_shapes(tensors: Sequence[StoredTensor], expected: Shapes) -> None:
    """Check names, order, types, shapes and parts before anything is allocated."""
    found = {tensor.name: (tensor.dtype, tensor.shape, len(tensor.digests)) for tensor in tensors}
    if list(found) != list(expected) or len(found) != len(tensors) or found != expected:
        raise BadEntry("its tensors are not those of the model")


def _read(stream: BinaryIO, tensors: Sequence[StoredTensor], pin: bool) -> dict[str, Tensor]:
    rooms = {tensor.name: torch.empty(tensor.shape, dtype=NAMES[tensor.dtype], pin_memory=pin) for tensor in tensors}
    read_tensors(stream, tensors, [bytes_of(room) for room in rooms.values()])
    return rooms


def prefix_key(symbols: Symbols, media: Sequence[str]) -> str:
    """The identity of an exact prefix: a hash of its portable symbols and of the content keys in them."""
    hasher = blake3("\x00".join(media).encode())
    hasher.update(symbols.tobytes())
    return str(hasher.hexdigest())
