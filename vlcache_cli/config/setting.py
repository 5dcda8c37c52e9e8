"""What there is to say of a setting besides its name, type and default: its heading, how it is read, what it means."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from vlcache_cli.config.readers import Reader


class Group(StrEnum):
    """The headings in the help under which settings stand."""

    ASKED = "What is asked"
    ANSWERING = "Who answers"
    MODEL = "Model"
    STORE = "Store"
    VERDICT = "Verdict"
    OUTPUT = "Output and settings"

    @property
    def measured(self) -> bool:
        """Whether its settings have an influence on what is measured, and not only on what is said of it."""
        return self not in (Group.VERDICT, Group.OUTPUT)


ASKED, ANSWERING, MODEL, STORE, VERDICT, OUTPUT = Group


@dataclass(frozen=True)
class Setting:
    """What there is to say of a field besides its name, type and default.

    Attributes:
        group: heading in the help.
        read: turns what a flag or a YAML file says into the value.
        meaning: for the help.
        shown: the default as the help shows it, where that is not the value itself.
        flag_type: what a flag's text becomes before it is read, where that is not the type of the default.
    """

    group: Group
    read: Reader
    meaning: str
    shown: str | None = None
    flag_type: type | None = None


def about(
    group: Group, read: Reader, meaning: str, shown: str | None = None, flag_type: type | None = None
) -> dict[str, Setting]:
    """The metadata of a field."""
    return {"setting": Setting(group, read, meaning, shown, flag_type)}


def settings_of(config: type[Any]) -> dict[str, Setting]:
    """The settings of a command by name, those of a group side by side."""
    found = {entry.name: entry.metadata["setting"] for entry in fields(config)}
    order = list(Group)
    return dict(sorted(found.items(), key=lambda item: order.index(item[1].group)))
