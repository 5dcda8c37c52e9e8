"""Write runs as one HTML page; templates and drawings are loaded when a page is written."""

from __future__ import annotations

from collections.abc import Sequence

from reports.forms.form import Form, ReportOptions
from reports.runs import Run


def _write(runs: Sequence[Run], options: ReportOptions) -> bytes:
    from reports.html.page import render

    return render(runs, options.profile, options.media).encode(errors="replace")


FORM = Form(".html", _write, printed=False, shows_profile=True)
