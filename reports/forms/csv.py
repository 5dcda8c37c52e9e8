"""Write the summary, or all records, as CSV."""

from __future__ import annotations

from collections.abc import Sequence

from reports.forms.flat import record_frame, summary_frame, to_csv
from reports.forms.form import Form, ReportOptions
from reports.runs import Run


def _write(runs: Sequence[Run], options: ReportOptions) -> bytes:
    return to_csv(record_frame(runs) if options.records else summary_frame(runs)).encode()


FORM = Form(".csv", _write, holds_records=True)
