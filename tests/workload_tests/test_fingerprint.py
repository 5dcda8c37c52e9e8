from __future__ import annotations

from dataclasses import replace

from workloads.base import StreamOptions
from workloads.fingerprint import fingerprint
from workloads.records import Answer, Conversation, Media, Message, Turn
from workloads.registry import load_workload

TURN = Turn("t", ("look:", Media("image", b"bytes", "a.png"), "what?"), Answer(("A", "B"), "exact-match"), "value")
TALK = Conversation("c", "cluster", "system", (TURN,))


def test_equal_streams_have_equal_fingerprints() -> None:
    options = StreamOptions(samples=3)
    one, two = (list(load_workload("doc-qa").conversations(options)) for _ in range(2))
    assert fingerprint(one) == fingerprint(two)
    assert fingerprint(one) != fingerprint(load_workload("doc-qa").conversations(replace(options, seed=1)))


def test_everything_that_is_asked_counts() -> None:
    changed_turns = [
        replace(TURN, id="u"),
        replace(TURN, family="count"),
        replace(TURN, content=("look:", Media("image", b"other", "a.png"), "what?")),
        replace(TURN, content=("look:", Media("video", b"bytes", "a.png"), "what?")),
        replace(TURN, content=("look:", "bytes", "what?")),
        replace(TURN, content=(Media("image", b"bytes", "a.png"), "look:", "what?")),
        replace(TURN, answer=Answer(("AB",), "exact-match")),
        replace(TURN, answer=Answer(("A", "B"), "other")),
        replace(TURN, answer=Answer((), "exact-match")),
        replace(TURN, answer=Answer(("A", "B"), "exact-match", ("yes",))),
        replace(TURN, answer=Answer(("A", "B"), "exact-match", ("yes", "no"))),
        replace(TURN, answer=Answer(("A", "B"), "exact-match", ("no", "yes"))),
        replace(TURN, answer_begins="It is"),
        replace(TURN, answer_begins="It"),
        replace(TURN, arrival_s=1.0),
        replace(TURN, think_s=1.0),
        replace(TURN, output_tokens=1),
    ]
    changed = [replace(TALK, turns=(turn,)) for turn in changed_turns]
    changed += [replace(TALK, id="d"), replace(TALK, cluster_id="x"), replace(TALK, system=""), replace(TALK, turns=())]
    histories = (
        [Message("user", ("a",))],
        [Message("assistant", ("a",))],
        [Message("user", ("a",)), *[Message("user", ())]],
    )
    changed += [replace(TALK, history=tuple(history)) for history in histories]
    assert len({fingerprint([talk]) for talk in [TALK, *changed]}) == len(changed) + 1


def test_names_of_files_do_not_count() -> None:
    renamed = replace(TURN, content=("look:", Media("image", b"bytes", "b.png"), "what?"))
    assert fingerprint([replace(TALK, turns=(renamed,))]) == fingerprint([TALK])


def test_pieces_cannot_run_into_each_other() -> None:
    one = replace(TURN, content=("ab", "c"))
    other = replace(TURN, content=("a", "bc"))
    assert fingerprint([replace(TALK, turns=(one,))]) != fingerprint([replace(TALK, turns=(other,))])
    assert fingerprint([TALK, TALK]) != fingerprint([TALK])
    assert fingerprint([replace(TALK, turns=(TURN, TURN))]) != fingerprint([TALK, TALK])
