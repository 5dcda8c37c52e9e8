"""Room for keys and values starts undefined: nothing may read it before it is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.workspace import Workspace
from runners.engine.shapes import KVShape


@pytest.mark.parametrize("donor", ["previous", "template", "isolated"])
@pytest.mark.every_method
def test_no_answer_depends_on_undefined_memory(
    lab: Any, name: str, donor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(shape: KVShape, capacity: int) -> KVBuffer:
        sizes = shape.sizes(capacity)
        return KVBuffer(torch.full(sizes, torch.nan), torch.full(sizes, torch.nan))

    take = Workspace.kv

    def poisoned_again(workspace: Workspace, capacity: int) -> KVBuffer:
        kv = take(workspace, capacity)
        kv.k.fill_(torch.nan)
        kv.v.fill_(torch.nan)
        return kv

    a, b, clip = lab.picture(0), lab.picture(1), lab.clip(0)
    requests = [lab.ask("x ", a), lab.ask(b, "y", a), lab.ask("z ", clip, b, a), lab.ask("z ", clip, b, "w", a, a)]
    method = lab.method(name, recompute_ratio=0.3, donor=donor)
    engine, plain_engine = lab.engine(method), lab.engine(method)
    plain = [plain_engine.answer(request) for request in requests]
    monkeypatch.setattr(KVBuffer, "allocate", poisoned)
    monkeypatch.setattr(Workspace, "kv", poisoned_again)
    for request, expected in zip(requests, plain, strict=True):
        response = engine.answer(request)
        assert (response.status, response.token_ids) == (expected.status, expected.token_ids), response.error
        np.testing.assert_array_equal(response.first_logits, expected.first_logits)
