"""List the forms of a report by name, import one when it is asked for, and choose one by a file's suffix."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from reports.forms.form import Form

FORMS = {
    "table": "reports.forms.report_table:FORM",
    "csv": "reports.forms.csv:FORM",
    "parquet": "reports.forms.parquet:FORM",
    "json": "reports.forms.json:FORM",
    "md": "reports.forms.markdown:FORM",
    "html": "reports.forms.html:FORM",
}
DEFAULT = "table"


def load_form(name: str) -> Form:
    """Import the form ``name``, a key of ``FORMS``.

    Raises:
        TypeError: what the registry names is no form.
    """
    module, _, attribute = FORMS[name].partition(":")
    form = getattr(import_module(module), attribute)
    if not isinstance(form, Form):
        raise TypeError(f"{FORMS[name]} is no Form")
    return form


def choose_form(name: str | None, output: Path | None) -> str:
    """The form that was asked for, else the one that the suffix of ``output`` tells, else ``table``."""
    if name is not None:
        return name
    suffix = output.suffix.lower() if output is not None else ""
    return next((known for known in FORMS if load_form(known).suffix == suffix), DEFAULT)
