"""Tiers hold what is theirs to hold, and tell of what none holds any longer."""

from __future__ import annotations

import hypothesis.strategies as st
import torch
from hypothesis import given

from runners.engine.store.entries import PrefixEntry, Stored
from runners.engine.store.lru import ByteBudgetLru
from runners.engine.store.tiers import Tier, Tiers


def entry(size: int) -> PrefixEntry:
    """Of ``size`` times 16 bytes."""
    return PrefixEntry(torch.arange(size), torch.zeros(1, 1, size, 1), torch.zeros(1, 1, size, 1))


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["put", "get", "discard", "promote"]), st.sampled_from("abcd"), st.integers(1, 4)),
    max_size=30,
)


@given(actions=ACTIONS, device=st.integers(0, 6), host=st.integers(0, 10))
def test_tiers_keep_their_budgets_and_tell_once_of_everything_that_is_gone(
    actions: list[tuple[str, str, int]], device: int, host: int
) -> None:
    tiers = Tiers(
        [
            Tier("device", ByteBudgetLru(device * 16)),
            Tier("host", ByteBudgetLru(host * 16), lambda tensor: tensor.clone()),
        ]
    )
    gone: list[str] = []
    known: set[str] = set()

    def forget(key: str, _: Stored) -> None:
        gone.append(key)
        known.discard(key)

    tiers.on_eviction(forget)
    for action, key, size in actions:
        if action == "put":
            made = entry(size)
            fits = tiers.fits(made)
            assert tiers.put(key, made) == fits == (size <= max(device, host))
            if fits:
                known.add(key)
                held = [tiers.peek(key, tier) for tier in ("device", "host")]
                assert {entry.nbytes for entry in held if entry is not None} == {made.nbytes}, "nothing older is left"
        elif action == "get":
            found = tiers.get(key)
            assert (found is not None) == (key in known)
            if found is not None:
                assert found.on_host == (tiers.peek(key, "device") is None)
        elif action == "promote":
            tiers.promote(key, entry(size))
            assert (tiers.peek(key) is None) == (key not in known)
        else:
            tiers.discard(key)
        assert {name for name, _ in tiers.items()} == known
        assert tiers.nbytes("device") <= device * 16
        assert tiers.nbytes("host") <= host * 16
        assert tiers.nbytes("disk") == 0


def test_the_hosts_entry_is_a_copy() -> None:
    tiers = Tiers([Tier("device", ByteBudgetLru(100)), Tier("host", ByteBudgetLru(100), lambda tensor: tensor.clone())])
    made = entry(2)
    tiers.put("a", made)
    made.k.fill_(7)
    held = tiers.peek("a", "host")
    assert isinstance(held, PrefixEntry)
    assert held.on_host
    assert not held.k.any()
