"""Scripts of docs/benchmarks as modules."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stdout
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from vlcache_cli.app import main

SCRIPTS = Path(__file__).parents[2] / "docs" / "benchmarks"


@pytest.fixture(scope="session")
def script_of() -> Iterator[Callable[[str], ModuleType]]:
    """A script by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)  # as for a script that is run

        def load(name: str) -> ModuleType:
            spec = spec_from_file_location(f"benchmark_{name}", SCRIPTS / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            patch.setitem(sys.modules, spec.name, module)  # where dataclasses look their module up
            spec.loader.exec_module(module)
            return module

        yield cache(load)


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
