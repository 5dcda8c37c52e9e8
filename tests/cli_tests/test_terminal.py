"""What reaches stdout and stderr, whoever prints it, and what happens when nobody reads it."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from vlcache_cli import console
from vlcache_cli.app import main
from vlcache_cli.failures import ExitCode
from vlcache_cli.terminal import Filter, Outlet
from workloads.printable import LINE_COMMAND, OBEYED, OTHER_COMMAND

NASTY = "\x1b]0;owned\x07\x9b31m\u202e\n::stop-commands::x\r::error::y\ud800"
COMMAND = "vlcache_cli.commands.list._workloads"


class Stream(io.StringIO):
    """A stream that may be a terminal, may have few characters, and may fail."""

    def __init__(self, terminal: bool = False, encoding: str = "utf-8", error: int = 0) -> None:
        super().__init__()
        self._terminal, self._encoding, self.error = terminal, encoding, error

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        text.encode(self._encoding)
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return super().write(text)


def guarded(stream: Stream, name: str = "stdout") -> Filter:
    return Filter(Outlet(stream, name))


def require_harmless(text: str) -> None:
    """Nothing but line feeds and what is seen, and no command to a CI service."""
    assert not OBEYED.search(text)
    assert not LINE_COMMAND.search(text)
    assert not OTHER_COMMAND.search(text)


def printing() -> Any:
    """Print as libraries do."""
    sys.stdout.write(NASTY)
    sys.stderr.write(NASTY)
    logging.StreamHandler().emit(logging.LogRecord("x", logging.WARNING, "file", 1, NASTY, None, None))
    return [("name", NASTY)]


def test_whoever_prints_nothing_is_obeyed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(COMMAND, printing)
    assert main(["list", "workloads"]) == 0
    out, err = capsys.readouterr()
    for text in (out, err):
        assert r"\x1b]0;owned\x07\x9b31m" in text
        require_harmless(text)


@pytest.mark.parametrize("arguments", [["list", NASTY], ["report", NASTY], [NASTY], ["bench", f"--{NASTY}"]])
def test_a_mistake_is_one_printable_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    require_harmless(err)


def test_a_crash_is_told_in_printable_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def crash() -> Any:
        raise RuntimeError(NASTY)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(COMMAND, crash)
    assert main(["list", "workloads"]) == 70
    require_harmless(capsys.readouterr().err)


CHUNKS = st.lists(
    st.text() | st.sampled_from(["::", ":", "##", "[", "\n", "\r", "\x1b", "[31m", "\x1b[A", "\x9b", " "])
)


@given(CHUNKS)
def test_however_it_is_cut_no_text_is_obeyed(chunks: list[str]) -> None:
    stream = Stream()
    guard = guarded(stream)
    for chunk in chunks:
        guard.write(chunk)
    require_harmless(stream.getvalue())


@given(CHUNKS)
def test_a_terminal_gets_colours_and_the_moves_of_progress_bars_alone(chunks: list[str]) -> None:
    stream = Stream(terminal=True)
    guard = guarded(stream)
    for chunk in chunks:
        guard.write(chunk)
    left = stream.getvalue().replace("\x1b[31m", "").replace("\x1b[A", "").replace("\x1b[m", "").replace("\r", "")
    assert not OBEYED.search(left)


def test_progress_bars_of_libraries_are_lines_where_that_is_no_terminal() -> None:
    stream = Stream()
    guard = guarded(stream)
    for part in ("\r 0%", "\r50%", "\r::error::", "\n"):
        guard.write(part)
    assert stream.getvalue() == " 0%\n50%\n:\\x3aerror::\n"


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_tables_and_notes_are_printable_whatever_they_hold(texts: list[str]) -> None:
    out, err = Stream(), Stream()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", guarded(out))
        patch.setattr(sys, "stderr", guarded(err, "stderr"))
        table = Table("a", "b")
        for text in texts:
            table.add_row(Text(text), Text(text))
            console.note(text)
            console.fail(text)
            console.show_text(text)
        console.show(table, 40)
    require_harmless(out.getvalue())
    require_harmless(err.getvalue())


def test_an_annotation_is_a_command_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.annotate("::error title=x::y\n::stop-commands::\x1b")
    assert capsys.readouterr().err == "::error title=x::y\\n::stop-commands::\\x1b\n"


def test_a_stream_with_few_characters_gets_escapes_for_others() -> None:
    stream = Stream(encoding="ascii")
    guarded(stream).write("é 漢\n")
    assert stream.getvalue() == "\\xe9 \\u6f22\n"


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ECONNRESET])
def test_a_command_goes_on_when_nobody_reads_what_it_prints(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(sys, "stdout", Stream(error=number))
    assert main(["list", "presets"]) == 0


@pytest.mark.parametrize("arguments", [["list", "presets"], ["--help"], ["bench", "--help"]])
def test_a_full_stdout_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Stream(error=errno.ENOSPC))
    assert main(arguments) == 2
    assert capsys.readouterr().err == "vlcache: cannot write to stdout: No space left on device; send it elsewhere\n"


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
def test_what_stderr_does_not_take_changes_no_exit_code(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(sys, "stderr", Stream(error=number))
    assert main(["list", "nothing"]) == 2


def test_closed_streams_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["list", "presets"]) == 0
    assert main(["list", "nothing"]) == 2


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_end_a_command_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    number = getattr(signal, name)

    def command() -> Any:
        require_handled(name)
        signal.raise_signal(number)

    monkeypatch.setattr(COMMAND, command)
    given = signal.signal(number, signal.SIG_DFL)  # whoever runs the tests may have it ignored, as nohup does
    try:
        assert main(["list", "workloads"]) == ExitCode.INTERRUPTED
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, given)
    assert capsys.readouterr().err == "vlcache: interrupted\n"


def require_handled(name: str) -> None:
    """Fail the test rather than end the process."""
    assert callable(signal.getsignal(getattr(signal, name)))


def test_a_signal_that_the_caller_ignores_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> Any:
        signal.raise_signal(signal.SIGHUP)
        return []

    given = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr(COMMAND, command)
        assert main(["list", "workloads"]) == 0
    finally:
        signal.signal(signal.SIGHUP, given)


def test_two_signals_at_once_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> Any:
        try:
            require_handled("SIGTERM")
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGHUP)

    monkeypatch.setattr(COMMAND, command)
    assert main(["list", "workloads"]) == ExitCode.INTERRUPTED


def test_a_run_that_is_ended_tells_how_to_go_on(
    bench: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = console.track

    def stopping(items: Any, title: str, total: int, about: Any = None) -> Any:
        for place, item in enumerate(asked(items, title, total, about)):
            if place == 5:
                require_handled("SIGTERM")
                signal.raise_signal(signal.SIGTERM)
            yield item

    monkeypatch.setattr(console, "track", stopping)
    assert bench("--output", "mine") == ExitCode.INTERRUPTED
    err = capsys.readouterr().err
    assert err.startswith("vlcache: interrupted; what was answered is kept, continue with: vlcache bench ")
    assert err.endswith("--output mine --resume\n")
    assert len(Path("mine/records.jsonl").read_text().splitlines()) == 5
    monkeypatch.undo()


def test_a_deleted_working_folder_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["list", "runners"]) == 2
    assert capsys.readouterr().err.startswith("vlcache: the working folder cannot be used (No such file or directory)")


@pytest.mark.parametrize("columns", ["0", "-1", "x", "9" * 30])
def test_help_is_shown_whatever_columns_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "dumb")
    assert main(["bench", "--help"]) == 0
    assert "--recompute-ratio" in capsys.readouterr().out


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), SystemExit(1), SystemExit(0)])
def test_what_a_library_ends_with_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException
) -> None:
    def command() -> Any:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(COMMAND, command)
    assert main(["list", "workloads"]) == ExitCode.INTERNAL


@pytest.mark.parametrize("arguments", [["report"], ["gate"], ["bench", "--model"], ["bench", "--output"]])
def test_a_name_that_is_too_long_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "x" * 3000]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ELOOP, errno.ENOSPC])
def test_a_place_that_the_user_may_not_use_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def command() -> Any:
        raise OSError(number, os.strerror(number), "/home/other")

    monkeypatch.setattr(COMMAND, command)
    assert main(["list", "workloads"]) == 2
    assert capsys.readouterr().err.startswith(f"vlcache: cannot use /home/other: {os.strerror(number)}; ")


def test_a_null_character_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "a\0b"]) == 2
    assert capsys.readouterr().err == "vlcache: the argument 'a\\x00b' holds a null character\n"
