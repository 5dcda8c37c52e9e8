"""Scripts of docs/benchmarks as modules."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest

from vlcache_cli.app import main


@pytest.fixture(scope="module")
def in_this_process(script_of: Callable[[str], ModuleType]) -> Iterator[None]:
    """The scripts' benchmarks run in this process, where nothing has to be imported anew."""

    def run(command: list[str], seconds: float | None, folder: Path) -> int:
        assert command[:3] == [sys.executable, "-m", "vlcache_cli"]
        with chdir(folder), redirect_stdout(io.StringIO()):
            return main(command[3:])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("page_runs.run_for", run)
        yield
