"""Write the summary, or all records, as Parquet."""

from __future__ import annotations

from collections.abc import Sequence

from reports.forms.flat import record_frame, summary_frame, to_parquet
from reports.forms.form import Form, ReportOptions
from reports.runs import Run


def _write(runs: Sequence[Run], options: ReportOptions) -> bytes:
    return to_parquet(record_frame(runs) if options.records else summary_frame(runs))


FORM = Form(".parquet", _write, printed=False, holds_records=True)
