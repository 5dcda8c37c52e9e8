"""Scripts of docs/benchmarks as modules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

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
