"""Write a drawing as SVG inside a page: colours become variables, styles attributes, and names unique."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from reports.pictures.labels import legible
from reports.pictures.style import STYLE
from reports.pictures.theme import variable_of

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
POINTS_PER_INCH = 72
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
NUMBER = re.compile(r"-?\d+\.\d+")
LOCAL = re.compile(r"url\(#([^)]*)\)")


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
