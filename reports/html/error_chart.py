"""The error map of a profile: where reuse leaves errors, by layer and token."""

from __future__ import annotations

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from reports.html.chart import Chart, Numbers, Part
from reports.html.svg import Drawing
from reports.html.theme import hexadecimal
from reports.profile import error_map
from reports.profile.saved import Profile
from reports.profile.sensitivity import LayerCost
from reports.statistics.shown import number

WIDTH, HEIGHT = 360, 220
BRIGHTEST = 99.0  # percentile of the mean errors: a few outliers must not darken the rest
MOST_COLUMNS = 1200  # of the picture; what is longer is averaged


def error_parts(profile: Profile, name: str) -> list[Part]:
    """One part with a map for each workload, and one with the cost of every layer."""
    maps = {str(key): _layer_by_token(part) for key, part in profile.errors.groupby("workload", observed=True)}
    known = np.concatenate([image[np.isfinite(image)] for image in maps.values()])
    brightest = (float(np.percentile(known, BRIGHTEST)) if known.size else 0.0) or 1.0
    charts = [
        Chart(f"{workload}: relative error of V", _draw_map(image, brightest, f"{name}-errors-{workload}", workload))
        for workload, image in maps.items()
    ]
    if profile.costs:
        charts.append(Chart("What staleness in one layer costs", _draw_costs(profile.costs, f"{name}-costs")))
    return [Part("by layer", charts, _numbers(profile))]


def _layer_by_token(frame: pd.DataFrame) -> np.ndarray:
    """Mean errors ``(layers, tokens)``, the media of a prompt side by side, NaN where there is none."""
    means = error_map.by_token(frame)["relative_v"].reset_index()
    lengths = means.groupby("medium")["token"].max() + 1
    starts = dict(zip(lengths.index, np.concatenate(([0], np.cumsum(lengths.to_numpy()))), strict=False))
    tokens = int(lengths.sum())
    at = means["medium"].map(starts) + means["token"]
    group = -(-tokens // MOST_COLUMNS)
    summed = means["relative_v"].groupby([means["layer"], at // group]).mean().unstack()
    return summed.to_numpy(dtype=np.float64)


def _draw_map(image: np.ndarray, brightest: float, name: str, workload: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    panel = drawing.axes()
    shown = panel.imshow(
        image, aspect="auto", origin="lower", interpolation="none", vmin=0, vmax=brightest, cmap="cividis"
    )
    panel.grid(visible=False)
    panel.set_xlabel("vision token of the prompt")
    panel.set_ylabel("layer")
    panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    bar = drawing.figure.colorbar(shown, ax=panel, fraction=0.05, pad=0.02)
    bar.ax.tick_params(color=hexadecimal("other"), labelcolor=hexadecimal("muted"), labelsize=11)
    bar.outline.set_visible(False)
    label = f"{workload}: mean relative error of V in {image.shape[0]} layers and {image.shape[1]} columns of tokens"
    return drawing.to_svg(name, f"{label}, from 0 to {brightest:.2g}")


def _draw_costs(costs: list[LayerCost], name: str) -> Markup:
    drawing = Drawing(WIDTH, HEIGHT)
    panel = drawing.axes()
    for cost in costs:
        panel.plot([cost.layer] * 2, [cost.lower, cost.upper], color=hexadecimal("accent"), linewidth=1.5)
        (mark,) = panel.plot(cost.layer, cost.mean, "o", color=hexadecimal("accent"), markersize=6)
        drawing.tell(mark, f"layer {cost.layer}: {cost.mean:.3g} nats, {cost.lower:.3g} to {cost.upper:.3g}")
    panel.set_ylim(bottom=0)
    panel.set_xlabel("layer")
    panel.set_ylabel("KL of the first token, nats")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    worst = max(costs, key=lambda cost: cost.mean)
    return drawing.to_svg(name, f"Cost of staleness by layer with 95 % intervals; the costliest is layer {worst.layer}")


def _numbers(profile: Profile) -> Numbers:
    means = error_map.by_layer(profile.errors)
    costs = {cost.layer: cost for cost in profile.costs}
    lines = []
    for layer, row in means.iterrows():
        cost = costs.get(int(str(layer)))
        told = (number(cost.mean, ".3g"), number(cost.lower, ".3g"), number(cost.upper, ".3g")) if cost else ("-",) * 3
        lines.append((str(layer), *(number(row[name], ".2f", 100) for name in ("relative_k", "relative_v")), *told))
    head = ("layer", "error of K, %", "error of V, %", "cost, nats", "from", "to")
    return Numbers("means by layer", head, lines)
