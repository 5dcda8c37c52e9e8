from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.run import store
from reports.run.manifest import Manifest
from reports.run.store import RunFolder
from runners.records import Record, Status
from workloads.errors import UsageError

MakeRecord = Callable[..., Record]
MANIFEST = {
    "schema": 1,
    "config": {"seed": 0, "reference": "full"},
    "workloads": {"binding": "abc"},
    "model": {"name": "builtin", "device": "cpu", "dtype": "float32", "added": [1]},
    "runners": [
        {"label": "full", "method": "full", "lossless": True},
        {"label": "vlcache", "method": "vlcache", "lossless": False},
    ],
    "added": {"later": True},
}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run that has begun."""
    begun = RunFolder(tmp_path / "runs" / "one")
    begun.claim()
    begun.start(Manifest.check(MANIFEST, "here"))
    return begun


def write(folder: RunFolder, records: Sequence[Record]) -> None:
    with folder.appending() as append:
        for record in records:
            append(record)


def test_records_come_back_as_they_were(folder: RunFolder, make_record: MakeRecord) -> None:
    records = [make_record("q0"), make_record("q1", status=Status.BAD_MEDIA), make_record("q0", "vlcache", kl=1 / 3)]
    write(folder, records)
    saved = folder.read()
    assert saved.manifest == Manifest.check(MANIFEST, "here")
    assert saved.manifest.document == MANIFEST, "what no field is made of is kept, too"
    assert list(saved.records.values()) == records
    assert saved.torn_at is None


def test_each_record_is_on_disk_before_the_next_is_measured(folder: RunFolder, make_record: MakeRecord) -> None:
    with folder.appending() as append:
        append(make_record("q0"))
        assert len(RunFolder(folder.path).read().records) == 1


def test_folder_and_manifest_exist_before_any_record(folder: RunFolder) -> None:
    assert json.loads(folder.manifest_path.read_text()) == MANIFEST
    assert folder.records_path.read_bytes() == b""


def test_a_folder_that_holds_a_run_is_refused(folder: RunFolder) -> None:
    with pytest.raises(UsageError, match="holds a run: add --resume to continue it, or choose another --output"):
        folder.claim()


def test_records_without_a_manifest_are_not_overwritten(folder: RunFolder, make_record: MakeRecord) -> None:
    write(folder, [make_record()])
    folder.manifest_path.unlink()
    with pytest.raises(UsageError, match="already holds a run"):
        folder.claim()


def test_a_claimed_folder_without_a_run_may_be_claimed_again(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim()
    RunFolder(tmp_path).claim()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_is_a_usage_error(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*file.*; make room or choose another --output"):
        RunFolder(tmp_path / "file" / below).claim()


@pytest.mark.parametrize("cut", [1, 5, 200])
def test_a_torn_last_line_is_left_out_and_cut_off(folder: RunFolder, make_record: MakeRecord, cut: int) -> None:
    records = [make_record(f"q{number}") for number in range(3)]
    write(folder, records)
    data = folder.records_path.read_bytes()
    folder.records_path.write_bytes(data[:-cut])
    saved = folder.read()
    assert list(saved.records.values()) == records[:2]
    assert folder.records_path.read_bytes() == data[:-cut]
    folder.mend(saved)
    write(folder, records[2:])
    assert folder.records_path.read_bytes() == data


def test_a_last_line_of_garbage_counts_as_torn(folder: RunFolder, make_record: MakeRecord) -> None:
    write(folder, [make_record()])
    with folder.records_path.open("ab") as file:
        file.write(b"\0\0\0\xff\n")
    saved = folder.read()
    assert len(saved.records) == 1
    assert saved.torn_at is not None


def test_a_single_torn_line_leaves_no_records(folder: RunFolder) -> None:
    folder.records_path.write_bytes(b'{"key"')
    saved = folder.read()
    assert (saved.records, saved.torn_at) == ({}, 0)


@pytest.mark.parametrize("bad", [b"{nonsense\n", b"\n", b"[]\n", b'{"schema": 2}\n', b'{"schema": 1}\n'])
def test_a_corrupt_line_in_the_middle_is_named(folder: RunFolder, make_record: MakeRecord, bad: bytes) -> None:
    write(folder, [make_record("q0")])
    with folder.records_path.open("ab") as file:
        file.write(bad)
    write(folder, [make_record("q1")])
    with pytest.raises(UsageError, match=r"records\.jsonl, line 2 is corrupt \(.*\); remove that line"):
        folder.read()


def test_a_corrupt_line_before_a_torn_one_is_named(folder: RunFolder) -> None:
    folder.records_path.write_bytes(b"{nonsense\n{torn")
    with pytest.raises(UsageError, match="line 1 is corrupt"):
        folder.read()


def test_two_records_of_a_request_that_differ_are_named(folder: RunFolder, make_record: MakeRecord) -> None:
    write(folder, [make_record("q0"), make_record("q0", ttft_ms=101.0)])
    with pytest.raises(UsageError, match="line 2: binding/q0/full occurs twice, and differs from the first; remove"):
        folder.read()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"key": "other"}, "key 'other' must be 'binding/q0/full'"),
        ({"key": "binding/q0/vlcache"}, "key 'binding/q0/vlcache' must be 'binding/q0/full'"),
        ({"request": "q1"}, "key 'binding/q0/full' must be 'binding/q1/full'"),
        ({"runner": "vlcache"}, "key 'binding/q0/full' must be 'binding/q0/vlcache'"),
        ({"runner": "none", "key": "binding/q0/none"}, "runner 'none' is none of the manifest's"),
        ({"workload": "none", "key": "none/q0/full"}, "workload 'none' is none of the manifest's"),
    ],
)
def test_a_record_is_of_the_run_and_under_its_own_key(
    folder: RunFolder, make_record: MakeRecord, changes: dict[str, str], told: str
) -> None:
    write(folder, [make_record("q0"), replace(make_record("q0"), **changes), make_record("q2")])  # type: ignore[arg-type]
    with pytest.raises(UsageError) as caught:
        folder.read()
    assert f"line 2 is corrupt ({told}); remove that line" in str(caught.value)


@given(
    key=st.text(max_size=4),
    names=st.tuples(st.sampled_from(["binding", "b"]), st.text(max_size=3), st.sampled_from(["full", "f/ull"])),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_records_that_are_read_name_every_request_and_runner_once(
    folder: RunFolder, make_record: MakeRecord, key: str, names: tuple[str, str, str]
) -> None:
    workload, request, runner = names
    own = make_record("q1")
    folder.records_path.write_bytes(b"")
    write(folder, [own, replace(own, key=key, workload=workload, request=request, runner=runner), make_record("q2")])
    found: list[Record] = []
    with suppress(UsageError):
        found = [*folder.read().records.values()]
    assert len({(each.workload, each.request, each.runner) for each in found}) == len(found)


def test_the_reference_is_one_of_the_runners(folder: RunFolder) -> None:
    folder.manifest_path.write_text(json.dumps(MANIFEST | {"config": {"reference": "\x1b[2Jnone"}}))
    with pytest.raises(UsageError) as caught:
        folder.read()
    assert str(caught.value).endswith(r"config.reference '\x1b[2Jnone' is none of its runners")


def test_a_record_that_is_there_twice_counts_once(folder: RunFolder, make_record: MakeRecord) -> None:
    write(folder, [make_record("q0"), make_record("q1"), make_record("q0")])
    assert [*folder.read().records] == ["binding/q0/full", "binding/q1/full"]


def test_a_number_that_json_does_not_know_is_not_written(folder: RunFolder, make_record: MakeRecord) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(folder, [make_record(kl=float("nan"))])


def test_an_empty_folder_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no run: there is no manifest\.json in it"):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not valid JSON"), ('{"schema": 2}', "has schema 2, this version reads 1"), ("[]", "has schema None")],
)
def test_a_manifest_that_cannot_be_read_is_a_usage_error(folder: RunFolder, text: str, message: str) -> None:
    folder.manifest_path.write_text(text)
    with pytest.raises(UsageError, match=message):
        folder.read()


def test_a_run_without_records_can_be_read(folder: RunFolder) -> None:
    folder.records_path.unlink()
    assert folder.read().records == {}


def test_a_disk_that_fills_up_is_a_usage_error(
    folder: RunFolder, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    monkeypatch.setattr(store, "open_to_append", lambda *_: full.open("ab", buffering=0))
    with pytest.raises(UsageError, match="No space left on device"):
        write(folder, [make_record()])


def test_unknown_fields_of_a_record_are_ignored(folder: RunFolder, make_record: MakeRecord) -> None:
    line: dict[str, Any] = make_record().to_json() | {"added_later": 1}
    folder.records_path.write_text(json.dumps(line) + "\n")
    assert list(folder.read().records) == ["binding/q0/full"]
