"""Methods of the user's own: found by ``package.module:Class``, or refused in one line that says why."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runners.defaults import RunnerDefaults
from runners.own_method import describe_source
from runners.registry import METHODS, RunnerSpec, describe_method, load_method, parse_specs, source_of
from workloads.errors import UsageError

HEAD = """
from __future__ import annotations
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from runners.engine.method import Method, PlanContext
from runners.engine.plan import Plan
from runners.methods.parts.ranking import RankingMethod
if TYPE_CHECKING:
    from collections.abc import Hashable

@dataclass(frozen=True)
class Last(RankingMethod):
    '''Recompute the last vision tokens.

    Options:
        where: start or end.
        step: every so many.
    '''

    where: Literal["start", "end"] = "end"
    step: int = 1

    def __post_init__(self):
        super().__post_init__()
        if self.step < 1:
            raise ValueError(f"step must be at least 1, not {self.step}")

    def scores(self, context):
        return context.candidates().float()
"""

WRONG = """
class Unrelated:
    pass

def function():
    pass

@dataclass(frozen=True)
class Unfinished(Method):
    pass

class Plain(Last):
    share: float = 0.5

@dataclass(frozen=True)
class PathOption(Last):
    file: Path = Path()

@dataclass(frozen=True)
class HiddenType(Last):
    key: Hashable = 0

@dataclass(frozen=True, kw_only=True)
class NoDefault(Last):
    k: int
"""

OWN = "scratch_methods.choosing"


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """A package ``scratch_methods`` that Python finds, with the module ``choosing``; writes more modules into it."""
    folder = tmp_path / "scratch_methods"
    folder.mkdir()

    def write(module: str, source: str) -> Path:
        file = folder / f"{module}.py"
        file.write_text(source)
        return file

    write("__init__", "")
    write("choosing", HEAD + WRONG)
    monkeypatch.syspath_prepend(tmp_path)
    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "scratch_methods"]:
        del sys.modules[name]


def parse(*texts: str) -> list[RunnerSpec]:
    return parse_specs(texts, RunnerDefaults(recompute_ratio=0.2))


def test_a_spec_may_name_a_class_and_is_its_label() -> None:
    full, plain, told, named = parse(
        f"full,{OWN}:Last", f"{OWN}:Last@where=start,ratio=0.5", f"{OWN}:Last@step=2,donor=isolated,name=mine"
    )
    assert [spec.method for spec in (full, plain, told, named)] == ["full", *[f"{OWN}:Last"] * 3]
    assert plain.label == f"{OWN}:Last"
    assert told.label == f"{OWN}:Last@where=start,ratio=0.5"
    assert named.label == "mine"
    assert plain.options == {"ratio": 0.2, "donor": "previous"}
    assert told.options == {"ratio": 0.5, "donor": "previous", "where": "start"}
    assert named.options == {"ratio": 0.2, "donor": "isolated", "step": 2}
    assert type(load_method(told)).__name__ == "Last"
    assert describe_method(f"{OWN}:Last") == "Recompute the last vision tokens."


ERRORS = {
    "no_such_thing:Cls": (
        "runner 'no_such_thing:Cls': Python finds no module 'no_such_thing': install its package beside vlcache "
        "(pip install -e FOLDER), or name its folder in PYTHONPATH"
    ),
    "scratch_methods.nowhere:Cls": (
        "runner 'scratch_methods.nowhere:Cls': Python finds no module 'scratch_methods.nowhere': install its package "
        "beside vlcache (pip install -e FOLDER), or name its folder in PYTHONPATH"
    ),
    ":Cls": "runner ':Cls': write a method of your own as package.module:Class",
    "scratch_methods:": "runner 'scratch_methods:': write a method of your own as package.module:Class",
    "..choosing:Last": "runner '..choosing:Last': write a method of your own as package.module:Class",
    "choosing.py:Last:x": "runner 'choosing.py:Last:x': write a method of your own as package.module:Class",
    f"{OWN}:Lst": f"runner '{OWN}:Lst': unknown method in {OWN} 'Lst': did you mean 'Last'?",
    "scratch_methods:Last": "runner 'scratch_methods:Last': scratch_methods has no method",
    f"{OWN}:Unrelated": (
        f"runner '{OWN}:Unrelated': Unrelated is no method: derive it from runners.engine.method.Method"
    ),
    f"{OWN}:function": f"runner '{OWN}:function': function is no method: derive it from runners.engine.method.Method",
    f"{OWN}:Unfinished": f"runner '{OWN}:Unfinished': Unfinished does not define plan",
    f"{OWN}:Plain": (
        f"runner '{OWN}:Plain': its options are not fields: write @dataclass(frozen=True) above the class"
    ),
    f"{OWN}:PathOption": (
        f"runner '{OWN}:PathOption': option 'file' has a type that no spec can give: use bool, int, float, str or a "
        "Literal of texts"
    ),
    f"{OWN}:HiddenType": (
        f"runner '{OWN}:HiddenType': the type of an option is not there at run time: name 'Hashable' is not defined"
    ),
    f"{OWN}:NoDefault": (f"runner '{OWN}:NoDefault': give option 'k', which has no default: {OWN}:NoDefault@k=VALUE"),
    f"{OWN}:Last@step=0": f"runner '{OWN}:Last@step=0': step must be at least 1, not 0",
    f"{OWN}:Last@where=up": f"runner '{OWN}:Last@where=up': where must be one of start, end, not 'up'",
    f"{OWN}:Last@stop=1": f"unknown option of runner '{OWN}:Last' 'stop': did you mean 'step'?",
}


@pytest.mark.parametrize("text", ERRORS)
def test_every_mistake_gets_its_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert str(caught.value) == ERRORS[text]


@pytest.mark.parametrize(
    ("source", "raised"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("from runners.engine.plan import Plans", "ImportError: cannot import name 'Plans'"),
        ("raise SystemExit", "SystemExit"),
        ("def broken(:", "SyntaxError: "),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ],
)
def test_a_module_that_raises_is_a_line_too(package: Callable[[str, str], Path], source: str, raised: str) -> None:
    package("broken", source)
    with pytest.raises(UsageError) as caught:
        parse("scratch_methods.broken:Cls")
    told = str(caught.value)
    assert told.startswith(f"runner 'scratch_methods.broken:Cls': importing scratch_methods.broken raised {raised}")
    assert "\n" not in told


def test_the_source_of_an_own_method_is_told_and_of_a_built_in_one_is_not(tmp_path: Path) -> None:
    own, built_in = parse(f"{OWN}:Last", "vlcache")
    assert source_of(built_in) == {}
    file = tmp_path / "scratch_methods" / "choosing.py"
    assert source_of(own) == {
        "source": {
            "file": str(file),
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "distribution": None,
            "version": None,
        }
    }


def test_a_class_that_a_package_hands_on_is_told_by_the_file_that_defines_it(
    package: Callable[[str, str], Path], tmp_path: Path
) -> None:
    package("__init__", "from scratch_methods.choosing import Last")
    (spec,) = parse("scratch_methods:Last")
    assert source_of(spec)["source"]["file"] == str(tmp_path / "scratch_methods" / "choosing.py")


def test_an_installed_distribution_is_told_with_its_version() -> None:
    told = describe_source(pytest.Item)
    assert told["distribution"] == "pytest"
    assert told["version"] == pytest.__version__


def test_no_built_in_name_could_be_one_of_a_users_own() -> None:
    assert not [name for name in METHODS if ":" in name]
