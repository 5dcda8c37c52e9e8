"""A run's folder is written and read through no link, holds regular files only, and is its owner's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.profile.folder import ProfileFolder
from reports.profile.saved import find_profile, read_profile
from reports.run.changed_answers import (
    FILE,
    FOLDER,
    ChangedAnswersLog,
    KeptMedium,
    content_name,
    read_changed_answers,
    read_medium,
)
from reports.run.disk import write_file
from reports.run.manifest import Manifest
from reports.run.store import MANIFEST, RECORDS, RunFolder
from runners.records import Record
from workloads.errors import UsageError
from workloads.private_files import open_to_append, write_whole
from workloads.records import Answer, Conversation, Media, Turn

MakeRecord = Callable[..., Record]
ASKED, MEDIUM = FILE, KeptMedium("image", "x", content_name(b"secret\n"))
TALK = Conversation("c", "c", "", (Turn("t0", (Media("image", b"one", "x"), "?"), Answer(("A",), "f1"), "a"),))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file elsewhere that nothing may be written to or read from."""
    file = tmp_path / "elsewhere" / "secret"
    file.parent.mkdir()
    file.write_bytes(b"secret\n")
    return file


@pytest.fixture
def run(tmp_path: Path, manifest: dict[str, Any], make_record: MakeRecord) -> RunFolder:
    """A run that has begun, with one record."""
    folder = RunFolder(tmp_path / "run")
    with folder.claim():
        folder.start(Manifest.check(manifest | {"schema": 1}, "here"))
        with folder.appending() as append:
            append(make_record())
        ChangedAnswersLog(folder.path, keep_media=True).keep("w", TALK, 0)
    return folder


def plant(file: Path, target: Path) -> None:
    """Put a link in a file's place."""
    file.unlink(missing_ok=True)
    file.symlink_to(target)


def test_a_run_and_its_files_are_the_owners_alone(run: RunFolder, tmp_path: Path) -> None:
    assert [path.name for path in (run.path, *sorted(run.path.iterdir()))] == ["run", ASKED, MANIFEST, FOLDER, RECORDS]
    for path in (run.path, *run.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    profile = ProfileFolder(tmp_path / "profile")
    profile.claim().release()
    assert stat.S_IMODE(profile.path.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", [RECORDS, MANIFEST, ASKED, FOLDER, ".lock", "notes.txt"])
@pytest.mark.parametrize("claim", [lambda path: RunFolder(path).claim(), lambda path: ProfileFolder(path).claim()])
def test_a_folder_with_a_link_in_it_is_not_claimed(
    tmp_path: Path, secret: Path, name: str, claim: Callable[[Path], Any]
) -> None:
    folder = tmp_path / "planted"
    folder.mkdir()
    plant(folder / name, secret)
    with pytest.raises(UsageError, match=r"planted (is not empty, it holds|already holds)"):
        claim(folder)
    assert secret.read_bytes() == b"secret\n"


def test_a_folder_with_anything_in_it_is_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "letter\x1b.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty, it holds 'letter\\x1b.txt': choose another --output"):
        RunFolder(tmp_path).claim()
    assert [path.name for path in tmp_path.iterdir()] == ["letter\x1b.txt"]


@pytest.mark.parametrize("name", [RECORDS, MANIFEST])
def test_a_run_is_not_read_through_a_link(run: RunFolder, name: str) -> None:
    elsewhere = run.path.parent / "elsewhere"
    (run.path / name).rename(elsewhere)
    plant(run.path / name, elsewhere)
    with pytest.raises(UsageError, match=rf"cannot read .*{name}: it is a symbolic link"):
        run.read()


def test_records_are_not_appended_or_cut_through_a_link(run: RunFolder, secret: Path, make_record: MakeRecord) -> None:
    saved = run.read()
    plant(run.records_path, secret)
    with pytest.raises(UsageError, match=r"cannot write to .*records\.jsonl: it is a symbolic link"), run.appending():
        pass
    with pytest.raises(UsageError, match="symbolic link"):
        run.mend(type(saved)(saved.manifest, saved.records, 0))
    assert secret.read_bytes() == b"secret\n"


def test_nothing_is_appended_to_a_file_with_another_name(run: RunFolder, secret: Path) -> None:
    run.records_path.unlink()
    os.link(secret, run.records_path)
    with pytest.raises(UsageError, match="it is a hard link"), run.appending():
        pass


def test_a_manifest_replaces_a_link_and_what_it_leads_to_stays(
    run: RunFolder, secret: Path, manifest: dict[str, Any]
) -> None:
    plant(run.manifest_path, secret)
    run.start(Manifest.check(manifest | {"schema": 1}, "here"))
    assert secret.read_bytes() == b"secret\n"
    assert run.read().manifest.document["schema"] == 1


def test_changed_answers_are_not_written_through_a_link(run: RunFolder, secret: Path) -> None:
    plant(run.path / ASKED, secret)
    with pytest.raises(UsageError, match=r"asked\.jsonl: it is a symbolic link"):
        ChangedAnswersLog(run.path, keep_media=True)
    with pytest.raises(UsageError, match=r"asked\.jsonl: it is a symbolic link"):
        read_changed_answers(run.path)
    assert secret.read_bytes() == b"secret\n"


def test_media_are_not_written_through_a_link(run: RunFolder, secret: Path) -> None:
    (kept,) = (run.path / FOLDER).iterdir()
    kept.unlink()
    (run.path / FOLDER).rmdir()
    (run.path / ASKED).unlink()
    log = ChangedAnswersLog(run.path, keep_media=True)
    plant(run.path / FOLDER, secret.parent)
    with pytest.raises(UsageError, match="it is a symbolic link"):
        log.keep("w", TALK, 0)
    with pytest.raises(UsageError, match="it is a symbolic link"):
        ChangedAnswersLog(run.path, keep_media=True)
    assert [path.name for path in secret.parent.iterdir()] == ["secret"]


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_no_page_shows_a_picture_behind_a_link(tmp_path: Path, secret: Path, linked: str) -> None:
    assert MEDIUM.file is not None
    private = secret.rename(secret.with_name(MEDIUM.file))
    if linked == "folder":
        (tmp_path / FOLDER).symlink_to(private.parent)
    else:
        (tmp_path / FOLDER).mkdir()
        (tmp_path / FOLDER / MEDIUM.file).symlink_to(private)
    assert read_medium(tmp_path, MEDIUM) is None


def test_a_medium_that_is_a_pipe_is_missing(tmp_path: Path) -> None:
    assert MEDIUM.file is not None
    (tmp_path / FOLDER).mkdir()
    os.mkfifo(tmp_path / FOLDER / MEDIUM.file)
    assert read_medium(tmp_path, MEDIUM) is None


@pytest.mark.parametrize("name", [RECORDS, MANIFEST, ASKED])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large"])
def test_what_is_no_file_of_bearable_size_is_refused_at_once(run: RunFolder, name: str, kind: str) -> None:
    file = run.path / name
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        try:
            os.mknod(file, stat.S_IFCHR | 0o600, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("only root makes devices")
    elif kind == "folder":
        file.mkdir()
    else:
        file.write_bytes(b"")
        os.truncate(file, 40 << 30)
    with pytest.raises(UsageError, match=r"not a regular file|is larger than \d+ MiB") as refusal:
        read_changed_answers(run.path) if name == ASKED else run.read()
    assert name in str(refusal.value)


def test_a_line_without_end_is_refused(run: RunFolder) -> None:
    os.truncate(run.records_path, 1 << 29)
    with pytest.raises(UsageError, match=r"records\.jsonl, line 2 is longer than 16 MiB"):
        run.read()


def test_a_report_in_a_runs_folder_replaces_a_link(run: RunFolder, secret: Path) -> None:
    plant(run.path / "report.html", secret)
    write_file(run.path / "report.html", b"page", "choose another --output")
    assert (run.path / "report.html").read_bytes() == b"page"
    assert secret.read_bytes() == b"secret\n"


def test_pictures_of_a_sweep_are_not_drawn_through_a_link(run: RunFolder, secret: Path) -> None:
    (run.path / "plots").symlink_to(secret.parent)
    with pytest.raises(OSError, match="it is a symbolic link"):
        write_whole(run.path, "plots/accuracy.png", b"picture")
    (run.path / "plots").unlink()
    (run.path / "plots").mkdir()
    plant(run.path / "plots" / "accuracy.png", secret)
    write_whole(run.path, "plots/accuracy.png", b"picture")
    assert secret.read_bytes() == b"secret\n"


def test_a_profile_is_not_read_through_a_link(tmp_path: Path) -> None:
    table = tmp_path / "table"
    pd.DataFrame({"a": [1]}).to_parquet(table)
    profile = ProfileFolder(tmp_path / "profile")
    profile.claim().release()
    plant(profile.errors, table)
    with pytest.raises(UsageError, match=r"error_map\.parquet .*it is a symbolic link"):
        read_profile(profile.path)
    run = tmp_path / "runs" / "run"
    run.mkdir(parents=True)
    (run / "profile").symlink_to(profile.path)
    assert find_profile(run) is None


def test_what_is_written_stays_inside(tmp_path: Path) -> None:
    for name in ("../x", "/tmp/x", "a\0b"):
        with pytest.raises(OSError, match=r"outside the folder|null character"):
            open_to_append(tmp_path, name)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
@pytest.mark.parametrize("closed", [False, True])
def test_an_open_pipe_is_written_to_by_its_name(closed: bool) -> None:
    out, into = os.pipe()
    os.set_blocking(out, False)
    write_file(Path(f"/dev/fd/{into}"), b"page", "choose another --output")
    assert os.read(out, 9) == b"page"
    if closed:  # by a reader that has enough
        os.close(out)
        write_file(Path(f"/dev/fd/{into}"), b"more", "choose another --output")
    os.close(into)
