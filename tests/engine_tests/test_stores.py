"""The stores hold what they say within their budget, and forget what was used longest ago."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from runners.engine.shapes import MediaGrid
from runners.engine.store.entries import DonorKV, MediaEntry, PrefixEntry, Stored
from runners.engine.store.lru import ByteBudgetLru
from runners.engine.store.media_store import MediaStore
from runners.engine.store.prefix_store import PrefixStore
from runners.engine.store.radix import RadixIndex
from runners.engine.store.tiers import Tier, Tiers

BYTES_PER_TOKEN = 8 + 2 * 2 * 4  # a symbol, and k and v of two layers of one float32
KEYS = st.sampled_from("abcdef")


@dataclass(frozen=True)
class Blob:
    nbytes: int


def held(lru: ByteBudgetLru[Blob]) -> list[tuple[str, int]]:
    return [(key, value.nbytes) for key, value in lru.items()]


@given(
    budget=st.integers(0, 30),
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "get", "peek", "discard"]), KEYS, st.integers(0, 40)), max_size=40
    ),
)
def test_an_lru_behaves_like_a_plain_ordered_dict_within_its_budget(
    budget: int, steps: list[tuple[str, str, int]]
) -> None:
    lru: ByteBudgetLru[Blob] = ByteBudgetLru(budget)
    model: OrderedDict[str, int] = OrderedDict()
    for action, key, size in steps:
        if action == "put":
            assert lru.put(key, Blob(size)) is (size <= budget)
            if size <= budget:
                model.pop(key, None)
                while sum(model.values()) + size > budget:
                    model.popitem(last=False)
                model[key] = size
        elif action == "discard":
            lru.discard(key)
            model.pop(key, None)
        else:
            found = lru.get(key) if action == "get" else lru.peek(key)
            assert (found.nbytes if found else None) == model.get(key)
            if action == "get" and key in model:
                model.move_to_end(key)
        assert held(lru) == list(model.items())
        assert lru.nbytes == sum(model.values()) <= budget
        assert len(lru) == len(model)


def test_a_refused_value_leaves_the_lru_as_it_was() -> None:
    lru: ByteBudgetLru[Blob] = ByteBudgetLru(10)
    lru.put("a", Blob(4))
    lru.put("b", Blob(6))
    assert not lru.put("a", Blob(11))
    assert held(lru) == [("a", 4), ("b", 6)]


def test_replacing_a_value_frees_its_bytes_first() -> None:
    lru: ByteBudgetLru[Blob] = ByteBudgetLru(10)
    lru.put("a", Blob(4))
    lru.put("b", Blob(6))
    assert lru.put("b", Blob(5))
    assert held(lru) == [("a", 4), ("b", 5)]
    lru.clear()
    assert (lru.nbytes, len(lru), "a" in lru) == (0, 0, False)


def medium(exact: bool | None, value: float = 0.0) -> MediaEntry:
    """A medium of two tokens with a donor, or with ``exact`` None without one."""
    kv = torch.full((2, 1, 2, 4), value)
    donor = None if exact is None else DonorKV(kv, kv.clone(), position=0, exact=exact)
    return MediaEntry(MediaGrid("image", 1, 2, 4), torch.zeros(2, 8), donor)


def test_a_medium_counts_with_its_features_keys_values_and_probe() -> None:
    assert medium(None).nbytes == 2 * 8 * 4
    assert medium(True).nbytes == 2 * 8 * 4 + 2 * (2 * 2 * 4) * 4


@given(st.lists(st.sampled_from([None, False, True]), min_size=1, max_size=6))
def test_an_exact_medium_is_never_overwritten_by_one_that_is_not(kinds: list[bool | None]) -> None:
    store = MediaStore(alone(ByteBudgetLru(10_000)))
    expected = -1
    for index, exact in enumerate(kinds):
        assert store.put("key", replace(medium(exact), features=torch.full((1,), float(index))))
        if exact or True not in kinds[:index]:
            expected = index
    entry = store.get("key")
    assert entry is not None
    assert entry.features.item() == expected


def test_a_medium_larger_than_the_budget_is_refused_and_unknown() -> None:
    store = MediaStore(alone(ByteBudgetLru(100)))
    assert not store.put("key", medium(True))
    assert store.get("key") is None


def alone(lru: ByteBudgetLru[Stored]) -> Tiers:
    """The one tier there is."""
    return Tiers([Tier("device", lru)])


def put(store: PrefixStore, symbols: list[int]) -> bool:
    tokens = torch.tensor(symbols)
    k = tokens.float().expand(2, 1, -1)[..., None]
    return store.put(tokens, k, -k) is not None


def prefixes(lru: ByteBudgetLru[Stored]) -> list[list[int]]:
    return [entry.symbols.tolist() for _, entry in lru.items() if isinstance(entry, PrefixEntry)]


def common(first: list[int], second: list[int]) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


SYMBOLS = st.lists(st.integers(-2, 1), min_size=1, max_size=8)


@given(stored=st.lists(SYMBOLS, max_size=6), asked=SYMBOLS, block=st.integers(1, 4))
def test_the_longest_stored_beginning_is_found_in_whole_blocks(
    stored: list[list[int]], asked: list[int], block: int
) -> None:
    store = PrefixStore(alone(ByteBudgetLru(1 << 20)), block)
    for symbols in stored:
        assert put(store, symbols)
    match = store.match(np.array(asked))
    length, entry = match.tokens, match.entry
    longest = max((common(asked, symbols) for symbols in stored), default=0)
    assert length == longest // block * block
    assert (entry is not None) == (length > 0)
    if entry is not None:
        assert entry.k[0, 0, :length, 0].tolist() == [float(symbol) for symbol in asked[:length]]
        assert torch.equal(entry.v, -entry.k)


@given(stored=st.lists(SYMBOLS, max_size=8))
def test_no_stored_prefix_is_the_beginning_of_another(stored: list[list[int]]) -> None:
    lru: ByteBudgetLru[Stored] = ByteBudgetLru(1 << 20)
    store = PrefixStore(alone(lru))
    for symbols in stored:
        put(store, symbols)
    left = prefixes(lru)
    assert all(common(a, b) < len(a) for a in left for b in left if a is not b)
    assert all(any(common(symbols, kept) == len(symbols) for kept in left) for symbols in stored)


def test_a_prefix_is_a_copy() -> None:
    lru: ByteBudgetLru[Stored] = ByteBudgetLru(1 << 20)
    store = PrefixStore(alone(lru))
    k = torch.ones(2, 1, 3, 1)
    store.put(torch.tensor([1, 2, 3]), k, k)
    k.zero_()
    entry = store.match(np.array([1, 2, 3])).entry
    assert entry is not None
    assert entry.k.min() == entry.v.min() == 1


def test_a_prefix_that_is_refused_leaves_the_ones_it_covers() -> None:
    lru: ByteBudgetLru[Stored] = ByteBudgetLru(3 * BYTES_PER_TOKEN)
    store = PrefixStore(alone(lru))
    assert put(store, [1, 2])
    assert not put(store, [1, 2, 3, 4])
    assert prefixes(lru) == [[1, 2]]


def test_matching_counts_as_use() -> None:
    lru: ByteBudgetLru[Stored] = ByteBudgetLru(4 * BYTES_PER_TOKEN)
    store = PrefixStore(alone(lru))
    put(store, [1, 2])
    put(store, [3, 4])
    store.match(np.array([1, 2, 9]))
    put(store, [5, 6])
    assert prefixes(lru) == [[1, 2], [5, 6]]


def test_storing_what_is_covered_counts_as_use() -> None:
    lru: ByteBudgetLru[Stored] = ByteBudgetLru(4 * BYTES_PER_TOKEN)
    store = PrefixStore(alone(lru))
    put(store, [1, 2])
    put(store, [3, 4])
    put(store, [1])
    put(store, [5, 6])
    assert prefixes(lru) == [[1, 2], [5, 6]]


def test_media_and_prefixes_share_one_budget() -> None:
    lru: ByteBudgetLru[Stored] = ByteBudgetLru(medium(True).nbytes + 2 * BYTES_PER_TOKEN)
    tiers = alone(lru)
    media, store = MediaStore(tiers), PrefixStore(tiers)
    media.put("old", medium(True))
    put(store, [1, 2])
    assert media.get("old") is not None
    put(store, [3, 4])
    assert prefixes(lru) == [[3, 4]]
    assert media.get("old") is not None
    media.put("new", medium(True))
    assert media.get("old") is None
    assert prefixes(lru) == []


class Radix(RuleBasedStateMachine):
    """A radix index beside a plain list of the sequences it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.index = RadixIndex()
        self.held: dict[str, list[int]] = {}

    @rule(symbols=SYMBOLS)
    def add(self, symbols: list[int]) -> None:
        name = f"{len(self.held)}-{symbols}"
        if name not in self.held:
            self.held[name] = symbols
            self.index.add(np.array(symbols), name)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        self.index.remove(np.array(self.held.pop(name)), name)

    @rule(asked=SYMBOLS)
    def look_up(self, asked: list[int]) -> None:
        length, name = self.index.longest_match(np.array(asked))
        assert length == max((common(asked, symbols) for symbols in self.held.values()), default=0)
        matching = [key for key, symbols in self.held.items() if common(asked, symbols) == length]
        assert name == (matching[0] if length else None), "the first added, whatever the names"
        beginnings = [key for key, symbols in self.held.items() if common(asked, symbols) == len(symbols)]
        assert sorted(self.index.beginnings_of(np.array(asked))) == sorted(beginnings)


TestRadix = Radix.TestCase
