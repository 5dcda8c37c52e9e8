"""Imports a method that a user wrote, by ``package.module:Class``, and says where it came from."""

from __future__ import annotations

import hashlib
import inspect
import sys
from dataclasses import fields
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from workloads.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from runners.engine.method import Method

OPTION_TYPES = (bool, int, float, str)


def import_method(name: str) -> type[Method]:
    """Import the class that ``package.module:Class`` names, from wherever Python finds its package.

    Raises:
        UsageError: it cannot be imported, or is no method that can run.
    """
    module_name, attribute = split_name(name)
    from runners.engine.method import Method

    module = _import_module(name, module_name)
    if not hasattr(module, attribute):
        found = _methods_in(module)
        held = unknown_name(f"method in {module_name}", attribute, found) if found else f"{module_name} has no method"
        raise UsageError(f"runner '{name}': {held}")
    method = getattr(module, attribute)
    if not (inspect.isclass(method) and issubclass(method, Method)):
        raise UsageError(f"runner '{name}': {attribute} is no method: derive it from runners.engine.method.Method")
    if inspect.isabstract(method):
        raise UsageError(
            f"runner '{name}': {attribute} does not define {', '.join(sorted(method.__abstractmethods__))}"
        )
    _require_readable_options(name, method)
    return method


def split_name(name: str) -> tuple[str, str]:
    """Split ``package.module:Class`` into module and class, nothing imported; UsageError for another form."""
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), attribute]):
        raise UsageError(f"runner '{name}': write a method of your own as package.module:Class")
    return module_name, attribute


def describe_source(method: type) -> dict[str, Any]:
    """Describe for the manifest a class's file, its SHA-256 (hex), and the installed distribution it comes with.

    What is not known is None: ``distribution`` and ``version`` where its package is not installed, but on the path.
    """
    file = getattr(sys.modules[method.__module__], "__file__", None)
    package = method.__module__.partition(".")[0]
    owners = sorted(set(metadata.packages_distributions().get(package, ())))
    known = len(owners) == 1
    return {
        "file": file,
        "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None,
        "distribution": owners[0] if known else None,
        "version": metadata.version(owners[0]) if known else None,
    }


def _import_module(name: str, module_name: str) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"runner '{name}': Python finds no module '{error.name}': install its package beside vlcache "
                "(pip install -e FOLDER), or name its folder in PYTHONPATH"
            ) from error
        raise _broken(name, module_name, error) from error
    except (Exception, SystemExit) as error:  # whatever a module of others may raise
        raise _broken(name, module_name, error) from error


def _broken(name: str, module_name: str, error: BaseException) -> UsageError:
    """Make the error for a module that is there and raises while it is imported."""
    what = " ".join(str(error).split())
    return UsageError(f"runner '{name}': importing {module_name} raised {type(error).__name__}{what and f': {what}'}")


def _methods_in(module: Any) -> list[str]:
    """List the methods in a module, for a suggestion."""
    from runners.engine.method import Method

    classes = {name: value for name, value in vars(module).items() if inspect.isclass(value)}
    return [name for name, value in classes.items() if issubclass(value, Method) and not inspect.isabstract(value)]


def _require_readable_options(name: str, method: type[Method]) -> None:
    """Check that every option can be read from a spec; UsageError otherwise."""
    own = inspect.get_annotations(method)
    if "__dataclass_fields__" not in vars(method) and any("ClassVar" not in str(kind) for kind in own.values()):
        raise UsageError(f"runner '{name}': its options are not fields: write @dataclass(frozen=True) above the class")
    try:
        hints = get_type_hints(method)
    except NameError as error:
        raise UsageError(f"runner '{name}': the type of an option is not there at run time: {error}") from error
    for option in fields(method):
        kind = hints[option.name]
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        if kind not in OPTION_TYPES and not (choices and all(isinstance(choice, str) for choice in choices)):
            raise UsageError(
                f"runner '{name}': option '{option.name}' has a type that no spec can give: "
                "use bool, int, float, str or a Literal of texts"
            )
