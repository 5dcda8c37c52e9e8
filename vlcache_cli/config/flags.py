"""Make a command of a configuration: every setting becomes a flag, with its type, default and help."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from vlcache_cli.config import readers
from vlcache_cli.config.layers import Config, flag, resolve
from vlcache_cli.config.setting import Setting, settings_of
from vlcache_cli.failures import ExitCode


def configured_by(kind: type[Config]) -> Callable[[Callable[[Config], ExitCode]], Callable[..., None]]:
    """Make a command of a function that takes a resolved configuration and returns an exit code."""

    def decorate(run: Callable[[Config], ExitCode]) -> Callable[..., None]:
        @wraps(run, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
        def command(**flags: object) -> None:
            raise typer.Exit(run(resolve(kind, flags)))

        vars(command)["__signature__"] = _signature(kind)
        return command

    return decorate


def _signature(kind: type[Config]) -> Signature:
    """One optional parameter for each setting, as typer reads them."""
    defaults = kind()
    flags = {name: _flag(name, setting, getattr(defaults, name)) for name, setting in settings_of(kind).items()}
    return Signature(
        [
            Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in flags.items()
        ]
    )


def _flag(name: str, setting: Setting, default: object) -> Any:
    """The annotation of a parameter that makes typer show a setting as a flag."""
    names = f"{flag(name)}/--no-{flag(name)[2:]}" if isinstance(default, bool) else flag(name)
    plain = setting.default_text is None and (default is None or default is False)
    text = "" if plain else f" (default: {setting.default_text or readers.show(default)})"
    option = typer.Option(names, help=f"{setting.help}{text}", rich_help_panel=setting.group)
    return Annotated[_flag_type(setting, default) | None, option]


def _flag_type(setting: Setting, default: object) -> Any:
    """What a flag's text becomes before the setting's reader sees it."""
    if setting.flag_type is not None:
        return setting.flag_type
    if isinstance(default, tuple):
        return list[str]
    return type(default) if isinstance(default, bool | int | float) else str
