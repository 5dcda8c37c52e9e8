"""Decisions on blocks that are done in any order are those of one process that asks them one after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runners.base import Request, Response
from runners.cluster.prefix import Prefix
from runners.records import Record, Status
from runners.session import SessionOptions, serve
from vlcache_cli.jobs.deciding import Deciding
from workloads.records import Answer, Conversation, Media, Turn

OPTIONS = SessionOptions("full", seed=1, max_new_tokens=1, warmup=0)
LABELS = ("full", "good", "bad")


def block_of(place: int, count: int) -> list[Conversation]:
    """Conversations about one picture: all but the first are warm, and each is a cluster of its own."""
    picture = Media("image", f"picture {place}".encode(), "picture")

    def conversation(index: int) -> Conversation:
        id = f"{place}.{index}"
        return Conversation(id, id, "", (Turn(id, ("?", picture), Answer(("yes",), "exact-match"), "f"),))

    return [conversation(index) for index in range(count)]


class Scripted:
    """A runner that is right unless it is told to be wrong."""

    def __init__(self, label: str, wrong: set[tuple[str, str]]) -> None:
        self.label, self._wrong = label, wrong

    def answer(self, request: Request) -> Response:
        return Response(Status.OK, "no" if (self.label, request.id) in self._wrong else "yes")

    def reset(self) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {}


def deciding(finished: dict[str, Record], margin: float) -> Deciding:
    return Deciding(
        workload="w",
        reference="full",
        judged=["good", "bad"],
        margin=margin,
        alpha=0.05,
        finished=finished,
        decisions=[],
        stops=True,
        keep=lambda: None,
    )


def told(records: Iterator[Record] | list[Record], watch: Deciding) -> tuple[dict[str, Record], list[dict[str, Any]]]:
    """Records by key, and decisions without their times."""
    found: dict[str, Record] = {}
    for record in records:
        assert record.key not in found
        assert record.runner in LABELS
        found[record.key] = record
    return found, [{**decision, "seconds": None} for decision in watch.decisions]


@settings(max_examples=25)
@given(data=st.data(), margin=st.sampled_from([0.5, 0.7]), size=st.integers(2, 4))
def test_blocks_in_any_order_are_decided_as_one_after_another(data: st.DataObject, margin: float, size: int) -> None:
    blocks = [block_of(place, size) for place in range(5)]
    names = [conversation.turns[0].id for block in blocks for conversation in block]
    may_be_wrong = [(label, id) for label in LABELS for id in names if label != "good"]
    wrong = set(data.draw(st.lists(st.sampled_from(may_be_wrong), max_size=30, unique=True)))
    runners = [Scripted(label, wrong) for label in LABELS]

    watch = deciding({}, margin)
    local, decided = told([r for block in blocks for r in serve("w", block, runners, OPTIONS, {}, watch)], watch)

    kept = data.draw(st.integers(0, len(local)), label="records of an earlier part")
    finished = dict(list(local.items())[:kept])
    again = deciding(finished, margin)
    prefix = Prefix("w", [[c.turns[0].id for c in block] for block in blocks], LABELS, "full", again, finished)
    found = [*prefix.advance()]
    for place in data.draw(st.permutations(range(5))):
        if prefix.needs(place):
            prefix.put(place, [*serve("w", blocks[place], runners, OPTIONS, finished)])
            found += prefix.advance()
    new, decided_again = told(found, again)
    assert decided_again == decided

    def plain(record: Record) -> dict[str, Any]:
        return {name: value for name, value in record.to_json().items() if name not in ("timing", "order")}

    assert {key: plain(record) for key, record in (finished | new).items()} == {
        key: plain(record) for key, record in local.items()
    }
    assert not finished.keys() & new.keys()
    assert not any(prefix.needs(place) for place in range(5))


def test_a_finished_block_still_counts_where_a_run_goes_on_in_one_process() -> None:
    block = block_of(0, 3)
    runners = [Scripted(label, set()) for label in LABELS]
    first = deciding({}, 0.9)
    records, decided = told([*serve("w", block, runners, OPTIONS, {}, first)], first)
    again = deciding(records, 0.9)
    assert [*serve("w", block, runners, OPTIONS, records, again)] == []
    assert {decision["runner"] for decision in again.decisions} == {decision["runner"] for decision in decided}
