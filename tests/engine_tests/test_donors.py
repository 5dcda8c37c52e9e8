"""Which keys and values are stored: computed where, and after what."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from runners.base import Request
from workloads.records import Message


def donor(lab: Any, method: str, policy: str, *requests: Any) -> Any:
    """What is stored of picture 0 after these requests."""
    engine = lab.engine(lab.method(method, donor=policy))
    for request in requests:
        engine.answer(request)
    return lab.stored(engine, lab.picture(0)).donor


def settings(lab: Any) -> list[Any]:
    a, b = lab.picture(0), lab.picture(1)
    return [lab.ask(a), lab.ask("some text ", b, " and more ", a, "?"), lab.ask("twice ", a, a, lab.clip(0))]


@pytest.mark.parametrize("policy", ["template", "isolated"])
@pytest.mark.parametrize("method", ["full-reuse", "vlcache"])
def test_a_compiled_donor_does_not_depend_on_the_request_that_brought_the_medium(
    lab: Any, method: str, policy: str
) -> None:
    donors = [donor(lab, method, policy, request) for request in settings(lab)]
    for first, second in pairwise(donors):
        # features come out of batches of other sizes, so the last bits may differ
        torch.testing.assert_close(first.k, second.k, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(first.v, second.v, atol=1e-5, rtol=1e-5)
        assert first.position == second.position
        assert first.exact
        assert second.exact
        if method == "vlcache":
            torch.testing.assert_close(first.probe.q.restore(), second.probe.q.restore(), atol=1e-2, rtol=1e-2)
            torch.testing.assert_close(first.probe.outputs, second.probe.outputs, atol=1e-5, rtol=1e-5)


def test_a_donor_from_the_request_depends_on_what_stood_before(lab: Any) -> None:
    first, second, _ = (donor(lab, "full-reuse", "previous", request) for request in settings(lab))
    torch.testing.assert_close(first.k[0], second.k[0], atol=1e-5, rtol=1e-5)  # layer 0 depends on content alone
    assert (first.k[-1] - second.k[-1]).abs().max() > 1e-2


def test_a_template_donor_is_what_the_bare_request_would_have_stored(lab: Any) -> None:
    bare = Request("bare", (Message("user", (lab.picture(0),)),), 4)
    compiled = donor(lab, "vlcache", "template", lab.ask("long before ", lab.picture(1), lab.picture(0)))
    computed = donor(lab, "vlcache", "previous", bare)
    assert compiled.position == computed.position
    for name in ("k", "v"):
        torch.testing.assert_close(getattr(compiled, name), getattr(computed, name), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(compiled.probe.outputs, computed.probe.outputs, atol=1e-4, rtol=1e-4)


def test_an_isolated_donor_starts_at_position_zero_with_nothing_before_it(lab: Any) -> None:
    isolated = donor(lab, "full-reuse", "isolated", settings(lab)[0])
    template = donor(lab, "full-reuse", "template", settings(lab)[0])
    assert isolated.position == 0 < template.position
    assert (isolated.v[-1] - template.v[-1]).abs().max() > 1e-2


@pytest.mark.parametrize("policy", ["previous", "template", "isolated"])
def test_a_medium_met_again_keeps_its_first_donor(lab: Any, policy: str) -> None:
    requests = settings(lab)
    once = donor(lab, "full-reuse", policy, requests[0])
    later = donor(lab, "full-reuse", policy, *requests)
    assert torch.equal(once.k, later.k)
    assert torch.equal(once.v, later.v)


@pytest.mark.every_method(uses_kv=True, also=("leading-k@k=4",))
def test_a_new_medium_after_stale_ones_is_marked_and_after_exact_ones_is_not(lab: Any, name: str) -> None:
    a, b, c, d = (lab.picture(seed) for seed in range(4))
    engine = lab.engine(lab.method(name, recompute_ratio=0.1, donor="previous"))
    engine.answer(lab.ask("first ", a, b))
    assert lab.stored(engine, a).donor.exact
    assert lab.stored(engine, b).donor.exact
    cache = engine.answer(lab.ask("second ", c, a, d)).cache
    assert lab.stored(engine, c).donor.exact, "nothing stale stands before it"
    all_computed = cache.computed_token_layers == cache.vision_tokens * cache.layers
    assert all_computed == (name == "leading-k"), "its 32 tokens are more than a picture here has"
    assert lab.stored(engine, d).donor.exact == all_computed, "it was computed on top of stale keys and values"


def test_a_new_medium_after_recomputed_ones_is_exact(lab: Any) -> None:
    a, d = lab.picture(0), lab.picture(3)
    engine = lab.engine(lab.method("random-k", recompute_ratio=1.0))
    engine.answer(lab.ask("first ", a))
    engine.answer(lab.ask("second ", a, d))
    assert lab.stored(engine, d).donor.exact


def test_a_new_medium_after_an_exact_prefix_is_exact_and_equal_to_full(lab: Any) -> None:
    a, d = lab.picture(0), lab.picture(3)
    engine = lab.engine(lab.method("full-reuse"))
    engine.answer(lab.ask("first ", a, "x"))
    engine.answer(lab.ask("first ", a, d))
    fresh = lab.engine(lab.method("full-reuse"))
    fresh.answer(lab.ask("first ", a, d))
    stored, expected = lab.stored(engine, d).donor, lab.stored(fresh, d).donor
    assert stored.exact
    torch.testing.assert_close(stored.k, expected.k, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stored.v, expected.v, atol=1e-4, rtol=1e-4)
