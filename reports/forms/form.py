"""Define what a form of a report declares: its files' suffix, what it can hold, and the function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from reports.profile.saved import Profile
    from reports.runs import Run


@dataclass(frozen=True)
class ReportOptions:
    """What a report holds besides the summary.

    Attributes:
        records: one line for each request and runner in place of the summary.
        profile: a saved profile, whose error map is shown.
        media: whether pictures of the requests' media are shown.
    """

    records: bool = False
    profile: Profile | None = None
    media: bool = True


@dataclass(frozen=True)
class Form:
    """One form of a report.

    Attributes:
        suffix: of its files, with the dot.
        write: the content of a file, from one or several runs; several are compared with the first.
        render: what a terminal shows in place of the file's text; None where it shows that text.
        printed: whether it goes to the screen where no file is named.
        holds_records: whether it takes ``ReportOptions.records``.
        shows_profile: whether it takes ``ReportOptions.profile``.
    """

    suffix: str
    write: Callable[[Sequence[Run], ReportOptions], bytes]
    render: Callable[[Sequence[Run]], RenderableType] | None = None
    printed: bool = True
    holds_records: bool = False
    shows_profile: bool = False
