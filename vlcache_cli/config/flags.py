"""Commands that are told by a configuration: every setting becomes a flag, and nothing about it is said twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from vlcache_cli.config import readers as settings
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
    told = ((name, _flag(name, setting, getattr(defaults, name))) for name, setting in settings_of(kind).items())
    return Signature([Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=found) for name, found in told])


def _flag(name: str, setting: Setting, default: object) -> Any:
    """The flag of a setting; its group, meaning and default are told by the configuration."""
    names = f"{flag(name)}/--no-{flag(name)[2:]}" if isinstance(default, bool) else flag(name)
    hidden = setting.shown is None and (default is None or default is False)
    meaning = setting.meaning if hidden else f"{setting.meaning} (default: {setting.shown or settings.show(default)})"
    option = typer.Option(names, help=meaning, rich_help_panel=setting.group)
    return Annotated[_flag_type(setting, default) | None, option]


def _flag_type(setting: Setting, default: object) -> Any:
    """What a flag's text becomes before the setting's reader sees it."""
    if setting.flag_type is not None:
        return setting.flag_type
    if isinstance(default, tuple):
        return list[str]
    return type(default) if isinstance(default, bool | int | float) else str
