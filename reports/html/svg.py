"""Drawings by matplotlib as SVG that stands in a page: its colours, its fonts, no styles, no names that could clash."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from reports.html.theme import hexadecimal, variable_of

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
POINTS_PER_INCH = 72
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
NUMBER = re.compile(r"-?\d+\.\d+")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
LOCAL = re.compile(r"url\(#([^)]*)\)")
LONGEST_LABEL = 24
HEADROOM = 0.06
STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.edgecolor": hexadecimal("other"),
    "axes.labelcolor": hexadecimal("muted"),
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": hexadecimal("line"),
    "grid.linewidth": 0.8,
    "xtick.color": hexadecimal("other"),
    "ytick.color": hexadecimal("other"),
    "xtick.labelcolor": hexadecimal("muted"),
    "ytick.labelcolor": hexadecimal("muted"),
    "text.color": hexadecimal("ink"),
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.parse_math": False,
}


def legible(text: str) -> str:
    """A text without characters that no document may hold."""
    return CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def short(text: str, most: int = LONGEST_LABEL) -> str:
    """A label's beginning and end, of at most so many characters."""
    clean = " ".join(legible(text).split())
    half = most // 2
    return clean if len(clean) <= most else f"{clean[:half]}\N{HORIZONTAL ELLIPSIS}{clean[half + 1 - most :]}"


@dataclass
class Drawing:
    """One picture, in CSS pixels.

    Attributes:
        tips: what is said of an artist under the mouse.
    """

    width: int
    height: int
    figure: Figure = field(init=False)
    tips: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with rc_context(STYLE):
            size = self.width / POINTS_PER_INCH, self.height / POINTS_PER_INCH
            self.figure = Figure(figsize=size, layout="constrained")
            FigureCanvasSVG(self.figure)

    def axes(self) -> Axes:
        """The only panel."""
        with rc_context(STYLE):
            return self.figure.subplots()

    def tell(self, artist: Artist, text: str) -> None:
        """Say something of an artist."""
        name = f"tip-{len(self.tips)}"
        artist.set_gid(name)
        self.tips[name] = legible(text)

    def to_svg(self, name: str, label: str) -> Markup:
        """The picture as an element; ``name`` is unique in the page, ``label`` says what is to be seen."""
        out = io.BytesIO()
        with rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            self.figure.savefig(out, format="svg", metadata=NO_METADATA)
        root = ElementTree.fromstring(out.getvalue())
        prefix = f"s{sha256(name.encode()).hexdigest()[:8]}"
        return Markup(_serialised(root, prefix, legible(label), self.width, self.height, self.tips))


def _serialised(
    root: ElementTree.Element, prefix: str, label: str, width: int, height: int, tips: Mapping[str, str]
) -> str:
    names = {found: f"{prefix}-{place}" for place, found in enumerate(sorted(_referred(root)))}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}style", f"{{{SVG}}}metadata"):
                parent.remove(child)
    for element in root.iter():
        _plain(element, names)
        tip = tips.get(element.attrib.pop("tip", ""))
        if tip is not None:
            title = ElementTree.Element("title")
            title.text = tip
            element.insert(0, title)
    root.attrib.clear()
    root.attrib |= {"viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height)}
    root.attrib |= {"role": "img", "aria-label": label}
    return ElementTree.tostring(_without_empty(root), encoding="unicode")


def _referred(root: ElementTree.Element) -> Iterator[str]:
    """The names that some element refers to."""
    for element in root.iter():
        reference = element.get(f"{{{XLINK}}}href", "")
        if reference.startswith("#"):
            yield reference[1:]
        yield from LOCAL.findall(" ".join(element.attrib.values()))


def _plain(element: ElementTree.Element, names: Mapping[str, str]) -> None:
    """Styles become attributes, colours variables, numbers short, names unique; namespaces go."""
    element.tag = element.tag.rpartition("}")[2]
    element.text, element.tail = (element.text or "").strip() or None, None
    given = dict(element.attrib)
    element.attrib.clear()
    for part in given.pop("style", "").split(";"):
        key, _, value = part.partition(":")
        if value and key.strip() != "font-family":
            given[key.strip()] = value.strip()
    name = given.pop("id", "")
    if name.startswith("tip-"):
        element.attrib["tip"] = name
    elif name in names:
        element.attrib["id"] = names[name]
    for key, value in given.items():
        key = "href" if key == f"{{{XLINK}}}href" else key
        if key == "href" and value.startswith("#"):
            value = f"#{names[value[1:]]}"
        elif key == "transform" and value.startswith("rotate(-0"):
            continue
        elif key != "href":
            value = LOCAL.sub(lambda found: f"url(#{names[found[1]]})", _short(variable_of(value) or value))
        element.attrib[key] = "".join(value.split()) if value.startswith("data:") else value


def _short(value: str) -> str:
    return NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), " ".join(value.split()))


def _without_empty(element: ElementTree.Element) -> ElementTree.Element:
    """Groups that say nothing themselves give way to what they hold."""
    children: list[ElementTree.Element] = []
    for child in element:
        _without_empty(child)
        bare = child.tag in ("g", "defs") and not child.attrib and child.find("title") is None
        if bare and (child.tag == "g" or not len(child)):
            children += list(child)
        else:
            children.append(child)
    element[:] = children
    return element


def percent_axis(panel: Axes, lowest: float) -> None:
    """The vertical axis of shares in percent, from about ``lowest`` up to 100, with a little room above."""
    panel.set_ylim(lowest, 100 + (100 - lowest) * HEADROOM)
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(lowest, 100)
    panel.yaxis.set_major_locator(FixedLocator([float(tick) for tick in ticks if lowest <= tick <= 100]))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def row_labels(panel: Axes, labels: Sequence[str]) -> None:
    """Name the rows of a panel, the first one on top."""
    with rc_context(STYLE):
        panel.set_yticks(range(len(labels)), [short(label) for label in labels])
    panel.set_ylim(len(labels) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0, labelcolor=hexadecimal("ink"))
    panel.grid(axis="y", visible=False)
    panel.spines["left"].set_visible(False)
