"""A setting of a command: a field of its configuration, with a help text, a heading in the help, and a reader."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

from vlcache_cli.config.readers import Reader

Value = TypeVar("Value")


class Group(StrEnum):
    """The headings in the help under which settings stand."""

    REQUESTS = "What is asked"
    RUNNERS = "Who answers"
    MODEL = "Model"
    LOAD = "Load"
    STORE = "Store"
    VERDICT = "Verdict"
    OUTPUT = "Output and settings"

    @property
    def measured(self) -> bool:
        """Whether its settings have an influence on what is measured, and not only on what is said of it."""
        return self not in (Group.VERDICT, Group.OUTPUT)


REQUESTS, RUNNERS, MODEL, LOAD, STORE, VERDICT, OUTPUT = Group


@dataclass(frozen=True)
class Setting:
    """What the field of a setting has besides its name, type and default.

    Attributes:
        group: heading in the help.
        read: turns what a flag or a YAML file says into the value.
        help: text of the help, without the default.
        default_text: the default as the help shows it, where that is not the value itself.
        flag_type: what a flag's text becomes before it is read, where that is not the type of the default.
    """

    group: Group
    read: Reader
    help: str
    default_text: str | None = None
    flag_type: type | None = None


def setting(
    default: Value,
    group: Group,
    read: Reader,
    help: str,
    *,
    default_text: str | None = None,
    flag_type: type | None = None,
) -> Value:
    """A field of a configuration that is a setting; see ``Setting``."""
    about = Setting(group, read, help, default_text, flag_type)
    made: Value = field(default=default, metadata={"setting": about})
    return made


def settings_of(config: type[Any]) -> dict[str, Setting]:
    """The settings of a command by name, those of a group side by side."""
    settings: dict[str, Setting] = {entry.name: entry.metadata["setting"] for entry in fields(config)}
    order = list(Group)
    return dict(sorted(settings.items(), key=lambda item: order.index(item[1].group)))
