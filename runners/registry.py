"""Look methods up by name, and parse runner specs: ``name`` or ``name@option=value,option=value``.

A name is one of ``METHODS``, or ``package.module:Class`` for a method of the user's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from runners.defaults import DonorPolicy, RunnerDefaults, StoreDtype, options_by_setting
from runners.own_method import describe_source, import_method, split_name
from workloads.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from runners.engine.method import Method

METHODS = {
    "full": "runners.methods.full_recompute:FullRecompute",
    "encoder-cache": "runners.methods.encoder_cache:EncoderCache",
    "prefix-cache": "runners.methods.prefix_cache:PrefixCache",
    "full-reuse": "runners.methods.full_reuse:FullReuse",
    "leading-k": "runners.methods.leading_k:LeadingK",
    "cacheblend": "runners.methods.cacheblend:CacheBlend",
    "conduit": "runners.methods.conduit:Conduit",
    "prophetkv": "runners.methods.prophetkv:ProphetKV",
    "kvshare": "runners.methods.kvshare:KVShare",
    "random-k": "runners.methods.random_k:RandomK",
    "vlcache-paper": "runners.methods.vlcache_paper:VLCachePaper",
    "vlcache": "runners.methods.vlcache:VLCache",
    "oracle": "runners.methods.oracle:Oracle",
}

SERVERS = {"endpoint": "runners.endpoint.options:Endpoint"}
"""Runners that are servers, by their options: an address is one of these."""

EVERY_RUNNER = "all"

FORMS = {
    "endpoint@url=URL": "an OpenAI-compatible chat server, such as vLLM or SGLang (docs/serving.md)",
    EVERY_RUNNER: "every method that is not for analysis only, and some variants",
    "package.module:Class": "a method of your own, in a package that Python finds (docs/adding-a-method.md)",
}
"""Names of methods that are no single name, for people."""

DEFAULT_RUNNERS = ("full,encoder-cache,prefix-cache,full-reuse", "cacheblend,conduit,vlcache-paper,vlcache")

ALL_RUNNERS = (
    "full,encoder-cache,prefix-cache,full-reuse",
    "full-reuse@rotate=false",
    "leading-k,random-k,cacheblend",
    "cacheblend@score=k",
    "conduit,prophetkv,kvshare",
    "vlcache-paper,vlcache",
)
"""What ``EVERY_RUNNER`` stands for."""


@dataclass(frozen=True)
class RunnerSpec:
    """One runner of a run: a method, the options that differ from its defaults, and a label unique in the run.

    Attributes:
        method: a name of ``METHODS`` or ``SERVERS``, or ``package.module:Class``.
    """

    method: str
    label: str
    options: Mapping[str, Any] = field(default_factory=dict)
    budget_bytes: int = RunnerDefaults.budget_bytes
    host_budget_bytes: int = RunnerDefaults.host_budget_bytes
    strict_reuse: bool = False
    store_dtype: StoreDtype = RunnerDefaults.store_dtype

    @property
    def is_server(self) -> bool:
        """Whether a server answers, and not a method in the built-in engine."""
        return self.method in SERVERS

    def option_for(self, setting: str) -> str | None:
        """Find the option of the method that takes over a setting of ``RunnerDefaults``; None where it has no such."""
        return options_by_setting(_options_class(self.method)).get(setting)


@dataclass(frozen=True)
class NamedRunner:
    """A runner as its spec names it, its method not imported and its options not read.

    Attributes:
        method: a name of ``METHODS``, or ``package.module:Class``, of which only the form is checked.
        options: the texts after ``@`` by their names, ``name`` left out.
    """

    method: str
    label: str
    options: Mapping[str, str]


def read_names(texts: Sequence[str]) -> list[NamedRunner]:
    """Read what runner specs say without any method, and so without torch; UsageError for what is wrong in that.

    A text is a comma list of plain names, or one name with options after ``@``, or ``EVERY_RUNNER``. The text is the
    label, unless an option ``name=`` gives another.
    """
    named: list[NamedRunner] = []
    for text in _expanded(texts):
        name, found, options = text.partition("@")
        if found and "," in name:
            raise UsageError(
                f"runner '{text}': a runner with options needs a --runner of its own, without others before it"
            )
        if found:
            named.append(_named(name.strip(), text, _options(text, options)))
        else:
            named += [_named(part.strip(), part.strip(), {}) for part in text.split(",")]
    require_distinct(named)
    return named


def parse_specs(texts: Sequence[str], defaults: RunnerDefaults) -> list[RunnerSpec]:
    """Read runner specs, in order, see ``read_names``; UsageError when one is wrong or two share a label."""
    return [_spec(named, defaults) for named in read_names(texts)]


def require_distinct(runners: Iterable[RunnerSpec | NamedRunner]) -> None:
    """Check that no two runners share a label; UsageError otherwise."""
    labels = [runner.label for runner in runners]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"runner '{label}' is given twice: drop one, or tell them apart with name=...")


def load_method(spec: RunnerSpec) -> Method:
    """Build the method of a spec, which names no server."""
    return _method_class(spec.method)(**spec.options)


def describe_method(name: str) -> str:
    """Describe in one line what a method does."""
    return (_method_class(name).__doc__ or "").strip().splitlines()[0]


def default_donor(name: str) -> DonorPolicy | None:
    """Return the donor policy that a method has unless ``--donor`` or its spec gives another; None without donors."""
    options = parse_specs([name], RunnerDefaults())[0].options
    return options.get("donor")


def is_default(name: str) -> bool:
    """Whether a method answers where no runner is named."""
    return any(name in text.split(",") for text in DEFAULT_RUNNERS)


def source_of(spec: RunnerSpec) -> dict[str, Any]:
    """Describe for the manifest where a user's own method is; empty for those that come with vlcache."""
    return {} if ":" not in spec.method else {"source": describe_source(_method_class(spec.method))}


def _expanded(texts: Sequence[str]) -> Iterator[str]:
    """The same with ``EVERY_RUNNER`` replaced by what it stands for."""
    for text in texts:
        if text.strip() == EVERY_RUNNER:
            yield from ALL_RUNNERS
        else:
            yield text


def _options(text: str, options: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in options.split(","):
        key, found, value = (piece.strip() for piece in item.partition("="))
        if not found or not key or not value:
            raise UsageError(f"runner '{text}': write options as name@option=value,option=value")
        if "@" in key:
            raise UsageError(
                f"runner '{text}': options reach to the end; give {key.partition('@')[0]} a --runner of its own"
            )
        if key in pairs:
            raise UsageError(f"runner '{text}': option '{key}' is given twice")
        pairs[key] = value
    return pairs


def _named(name: str, text: str, options: dict[str, str]) -> NamedRunner:
    """Name a runner; ``text`` is its label unless an option gives another."""
    if ":" in name:
        split_name(name)
    elif name not in METHODS and name not in SERVERS:
        raise unknown_name("runner", name, [*METHODS, *SERVERS])
    return NamedRunner(name, options.pop("name", text), options)


def _spec(named: NamedRunner, defaults: RunnerDefaults) -> RunnerSpec:
    name, label = named.method, named.label
    method = _options_class(name)
    hints = get_type_hints(method)
    known = [option.name for option in fields(method)]
    options = _options_from_settings(method, defaults)
    for key, value in named.options.items():
        if key not in known:
            raise unknown_name(f"option of runner '{name}'", key, [*known, "name"])
        options[key] = _read(f"runner '{label}': {key}", value, hints[key])
    for option in fields(method):
        if option.name not in options and option.default is MISSING and option.default_factory is MISSING:
            raise UsageError(
                f"runner '{label}': give option '{option.name}', which has no default: {name}@{option.name}=VALUE"
            )
    try:
        method(**options)
    except ValueError as error:
        raise UsageError(f"runner '{label}': {error}") from error
    return RunnerSpec(
        method=name,
        label=label,
        options=options,
        budget_bytes=defaults.budget_bytes,
        host_budget_bytes=defaults.host_budget_bytes,
        strict_reuse=defaults.strict_reuse,
        store_dtype=defaults.store_dtype,
    )


def _options_from_settings(method: type[Any], defaults: RunnerDefaults) -> dict[str, Any]:
    """Return the options of a method that take over a setting: its value, or the method's default where it is None."""
    own = {option.name: option.default for option in fields(method)}
    values = {option: getattr(defaults, setting) for setting, option in options_by_setting(method).items()}
    return {option: own[option] if value is None else value for option, value in values.items()}


def _read(what: str, text: str, kind: Any) -> Any:
    """Parse ``text`` as a value of an option's type; UsageError when it is none."""
    choices: Iterable[Any] = get_args(kind)
    if choices:
        if text not in choices:
            raise UsageError(f"{what} must be one of {', '.join(map(str, choices))}, not '{text}'")
        return text
    if kind is bool:
        if text not in ("true", "false"):
            raise UsageError(f"{what} must be true or false, not '{text}'")
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"{what} must be {'a whole number' if kind is int else 'a number'}, not '{text}'") from None


def _options_class(name: str) -> type[Any]:
    """Import the dataclass whose fields are the options of a runner: a method, or those of a server."""
    if name not in SERVERS:
        return _method_class(name)
    module, attribute = SERVERS[name].split(":")
    options: type[Any] = getattr(import_module(module), attribute)
    return options


def _method_class(name: str) -> type[Method]:
    """Import the class of a method; UsageError where a user's own cannot be had."""
    if ":" in name:
        return import_method(name)
    module, attribute = METHODS[name].split(":")
    method: type[Method] = getattr(import_module(module), attribute)
    return method
