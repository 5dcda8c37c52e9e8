"""Runner specs: what they mean, and the line each mistake is answered with."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.defaults import RunnerDefaults
from runners.registry import (
    DEFAULT_RUNNERS,
    METHODS,
    SERVERS,
    RunnerSpec,
    describe_method,
    is_default,
    load_method,
    parse_specs,
)
from workloads.errors import UsageError


def parse(*texts: str, **defaults: Any) -> list[RunnerSpec]:
    return parse_specs(texts, RunnerDefaults(**defaults))


def test_a_comma_list_names_runners_in_order() -> None:
    specs = parse("full, vlcache,prefix-cache", "full-reuse")
    assert [spec.method for spec in specs] == ["full", "vlcache", "prefix-cache", "full-reuse"]
    assert [spec.label for spec in specs] == ["full", "vlcache", "prefix-cache", "full-reuse"]


def test_a_spec_with_options_is_its_own_label() -> None:
    (spec,) = parse("cacheblend@score=k,ratio=0.15")
    assert (spec.method, spec.label) == ("cacheblend", "cacheblend@score=k,ratio=0.15")
    assert spec.options == {"score": "k", "ratio": 0.15, "donor": "previous"}


def test_name_overrides_the_label_and_is_no_option() -> None:
    (spec,) = parse("full-reuse@rotate=false,name=control")
    assert spec.label == "control"
    assert spec.options == {"rotate": False, "donor": "previous"}


def test_equal_methods_are_told_apart_by_name_or_options() -> None:
    labels = [spec.label for spec in parse("vlcache", "vlcache@ratio=0.1", "vlcache@ratio=0.1,name=tenth")]
    assert labels == ["vlcache", "vlcache@ratio=0.1", "tenth"]


def test_shared_settings_reach_the_methods_that_know_them_unless_a_spec_says_otherwise() -> None:
    specs = parse(
        *("full", "random-k", "random-k@ratio=0.5,donor=isolated"),
        **{"recompute_ratio": 0.2, "donor": "template", "budget_bytes": 7, "strict_reuse": True},
    )
    assert [dict(spec.options) for spec in specs] == [
        {},
        {"ratio": 0.2, "donor": "template"},
        {"ratio": 0.5, "donor": "isolated"},
    ]
    assert {(spec.budget_bytes, spec.strict_reuse) for spec in specs} == {(7, True)}


@given(ratio=st.floats(0, 1))
def test_any_ratio_is_read_as_written(ratio: float) -> None:
    (spec,) = parse(f"vlcache@ratio={ratio!r}")
    assert spec.options["ratio"] == ratio


ERRORS = {
    "vlcahe": "unknown runner 'vlcahe': did you mean 'vlcache'?",
    "full,prefixcache": "unknown runner 'prefixcache': did you mean 'prefix-cache'?",
    "zzz": f"unknown runner 'zzz': known: {', '.join(sorted([*METHODS, *SERVERS]))}",
    "": f"unknown runner '': known: {', '.join(sorted([*METHODS, *SERVERS]))}",
    "full,": f"unknown runner '': known: {', '.join(sorted([*METHODS, *SERVERS]))}",
    "random-k@ration=0.1": "unknown option of runner 'random-k' 'ration': did you mean 'ratio'?",
    "full@ratio=0.1": "unknown option of runner 'full' 'ratio': known: chunk, name",
    "full-reuse@rotate=no": "runner 'full-reuse@rotate=no': rotate must be true or false, not 'no'",
    "leading-k@k=1.5": "runner 'leading-k@k=1.5': k must be a whole number, not '1.5'",
    "leading-k@k=-1": "runner 'leading-k@k=-1': k must not be negative, not -1",
    "prefix-cache@block=0": "runner 'prefix-cache@block=0': block must be at least 1 token, not 0",
    "vlcache@risk=0": "runner 'vlcache@risk=0': risk must be between 0 and 1, not 0.0",
    "cacheblend@score=q": "runner 'cacheblend@score=q': score must be one of v, k, not 'q'",
    "oracle@layer=-2": "runner 'oracle@layer=-2': layer must be one of the model's, or -1 for all, not -2",
    "full-reuse@donor=next": (
        "runner 'full-reuse@donor=next': donor must be one of previous, template, isolated, not 'next'"
    ),
    "vlcache@ratio=five": "runner 'vlcache@ratio=five': ratio must be a number, not 'five'",
    "vlcache@ratio=1.5": "runner 'vlcache@ratio=1.5': ratio must be between 0 and 1, not 1.5",
    "vlcache@ratio=-0.1": "runner 'vlcache@ratio=-0.1': ratio must be between 0 and 1, not -0.1",
    "vlcache@ratio=nan": "runner 'vlcache@ratio=nan': ratio must be between 0 and 1, not nan",
    "vlcache@ratio=2,name=big": "runner 'big': ratio must be between 0 and 1, not 2.0",
    "vlcache@": "runner 'vlcache@': write options as name@option=value,option=value",
    "vlcache@ratio": "runner 'vlcache@ratio': write options as name@option=value,option=value",
    "vlcache@ratio=": "runner 'vlcache@ratio=': write options as name@option=value,option=value",
    "vlcache@=1": "runner 'vlcache@=1': write options as name@option=value,option=value",
    "vlcache@ratio=0.1,ratio=0.2": "runner 'vlcache@ratio=0.1,ratio=0.2': option 'ratio' is given twice",
    "conduit@ratio=0.1,vlcache@ratio=0.2": (
        "runner 'conduit@ratio=0.1,vlcache@ratio=0.2': options reach to the end; give vlcache a --runner of its own"
    ),
    "full,full": "runner 'full' is given twice: drop one, or tell them apart with name=...",
}


@pytest.mark.parametrize("text", ERRORS)
def test_every_mistake_gets_its_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert str(caught.value) == ERRORS[text]


@pytest.mark.parametrize("texts", [("full", "full"), ("vlcache@name=x", "full@name=x"), ("full", "vlcache@name=full")])
def test_two_runners_cannot_share_a_label(texts: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="is given twice: drop one, or tell them apart with name="):
        parse(*texts)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_loads_is_described_and_documents_its_options(name: str) -> None:
    (spec,) = parse(name)
    method = load_method(spec)
    described = describe_method(name)
    assert described.endswith(".")
    assert "\n" not in described
    documented = "\n".join(base.__doc__ or "" for base in type(method).__mro__)
    for option in fields(method):
        assert re.search(rf"^\s+{option.name}: ", documented, re.MULTILINE), option.name


def test_all_stands_for_every_method_that_is_not_for_analysis_only_and_some_variants() -> None:
    everyday = {spec.method for spec in parse(*METHODS) if not load_method(spec).analysis_only}
    assert everyday == set(METHODS) - {"oracle"}
    specs = parse("all")
    assert {spec.method for spec in specs} == everyday
    assert {spec.label for spec in specs} - everyday == {"full-reuse@rotate=false", "cacheblend@score=k"}
    assert [spec.label for spec in parse("all", "oracle")] == [*(spec.label for spec in specs), "oracle"]
    with pytest.raises(UsageError, match="runner 'full' is given twice"):
        parse("all", "full")


def test_few_runners_answer_by_default() -> None:
    labels = [spec.label for spec in parse(*DEFAULT_RUNNERS)]
    lossless, lossy = (
        ["full", "encoder-cache", "prefix-cache"],
        ["full-reuse", "cacheblend", "conduit", "vlcache-paper"],
    )
    assert labels == [*lossless, *lossy, "vlcache"]
    assert [name for name in METHODS if is_default(name)] == labels
