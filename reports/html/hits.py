"""Draw the share of media found in the stores, from the first request to the last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from reports.html.chart import Chart, ChartGroup
from reports.html.representatives import representatives
from reports.pictures.labels import short
from reports.pictures.svg import Drawing
from reports.pictures.theme import hexadecimal
from reports.runs import Run
from reports.statistics.formatting import number
from reports.tables.table import Table

WIDTH, HEIGHT = 272, 180
MOST_WINDOWS = 24
FEWEST_IN_WINDOW = 4
SHARES = ("recurring_media", "kv_hits", "encoder_hits")


def hits(run: Run, frame: pd.DataFrame, name: str) -> list[ChartGroup]:
    """One part for each workload: runners with equal hits share a drawing."""
    groups = []
    for workload in run.workloads:
        labels = representatives(run.trade_off.of(workload), run.trade_off.recommended[workload])
        asked = frame[frame["workload"] == workload]
        order = {request: place for place, request in enumerate(asked["request"].unique())}
        by_shares: dict[bytes, tuple[list[str], pd.DataFrame]] = {}
        for label in labels:
            shares = _windows(asked[(asked["runner"] == label) & asked["media"].notna()], order)
            if len(shares):
                by_shares.setdefault(shares.to_numpy().tobytes(), ([], shares))[0].append(label)
        charts = [
            Chart(_title(runners), _draw(runners, shares, f"{name}-hits-{workload}-{place}"))
            for place, (runners, shares) in enumerate(by_shares.values())
        ]
        if charts:
            groups.append(ChartGroup(workload, charts, _numbers(list(by_shares.values()), workload)))
    return groups


def _windows(mine: pd.DataFrame, order: dict[str, int]) -> pd.DataFrame:
    """Shares of the media asked in each of at most ``MOST_WINDOWS`` stretches of requests; indexed by their middles."""
    if mine.empty:
        return pd.DataFrame(columns=list(SHARES))
    size = max(FEWEST_IN_WINDOW, -(-len(order) // MOST_WINDOWS))
    place = mine["request"].map(order)
    sums = mine[[*SHARES, "media"]].groupby(place // size).sum()
    hit_shares = sums[list(SHARES)].div(sums["media"].where(sums["media"] > 0), axis=0).dropna()
    hit_shares.index = pd.Index(np.minimum((hit_shares.index + 0.5) * size, len(order)))
    return hit_shares


def _draw(runners: Sequence[str], shares: pd.DataFrame, name: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    panel = drawing.axes()
    at = shares.index.to_numpy(dtype=np.float64)
    possible, kv, encoder = (shares[share].to_numpy() * 100 for share in SHARES)
    panel.fill_between(at, 0, possible, color=hexadecimal("band"), linewidth=0)
    panel.plot(at, possible, color=hexadecimal("muted"), linewidth=1)
    panel.plot(at, encoder, "--", color=hexadecimal("bad"), linewidth=1.8, dash_capstyle="round")
    panel.plot(at, kv, color=hexadecimal("accent"), linewidth=2)
    panel.set_ylim(-4, 104)
    panel.set_xlim(left=0)
    panel.grid(axis="x", visible=False)
    panel.set_xlabel("request")
    panel.set_ylabel("media, %")
    last = f"at the end {kv[-1]:.0f} % of keys and values and {encoder[-1]:.0f} % of encoder output were found"
    return drawing.to_svg(name, f"{', '.join(runners)}: {last}, {possible[-1]:.0f} % were sent before")


def _title(runners: Sequence[str]) -> str:
    more = f" and {len(runners) - 1} more" if len(runners) > 1 else ""
    return f"{short(runners[0], 32)}{more}"


def _numbers(drawn: Sequence[tuple[list[str], pd.DataFrame]], workload: str) -> Table:
    lines = [
        (", ".join(runners), f"{at:.0f}", *(number(row[share], ".0f", 100) for share in SHARES))
        for runners, shares in drawn
        for at, row in shares.iterrows()
    ]
    return Table.of_numbers(
        f"{workload}, hits", ("runners", "about request", "sent before, %", "K, V found, %", "encoder output, %"), lines
    )
