"""The report's colours, each with a value for light and for dark screens.

Text reaches a contrast of 4.5 to 1 on its ground, marks 3 to 1 (WCAG 2.2, 1.4.3 and 1.4.11); the parts of the time
and the two accents are Okabe and Ito's, which people with any colour vision tell apart.
"""

from __future__ import annotations

from colorsys import hls_to_rgb
from typing import NamedTuple

from runners.records import Timing


class Shade(NamedTuple):
    """One colour as hexadecimal RGB."""

    light: str
    dark: str


PLAIN_COLOURS = {
    "ground": Shade("#ffffff", "#14171b"),
    "raised": Shade("#f5f6f8", "#1d2126"),
    "line": Shade("#d8dce2", "#363c44"),
    "ink": Shade("#191d22", "#e9ebee"),
    "muted": Shade("#565f6b", "#a4adb8"),
    "accent": Shade("#0063a6", "#62b2f0"),
    "good": Shade("#00734f", "#35c18f"),
    "bad": Shade("#b34700", "#f58c4a"),
    "other": Shade("#a3abb5", "#5d6672"),
    "band": Shade("#e6e9ee", "#2a3037"),
}
PART_COLOURS = {
    "prepare": Shade("#7c8590", "#98a1ac"),
    "preprocess": Shade("#434a53", "#cdd2d9"),
    "encode": Shade("#3d9bd4", "#56b4e9"),
    "load": Shade("#009e73", "#18b589"),
    "select": Shade("#b98000", "#e69f00"),
    "prefill": Shade("#0072b2", "#2a8fd0"),
    "head": Shade("#b9618f", "#cc79a7"),
}
GOLDEN_TURN = 0.618  # of the colour wheel, from one spare colour to the next


def spare_shade(place: int) -> Shade:
    """The colour of a part of the time that has none of its own; ``place`` is where it stands among the parts."""
    hue = place * GOLDEN_TURN % 1.0
    light, dark = (hls_to_rgb(hue, lightness, 0.6) for lightness in (0.33, 0.66))
    return Shade(*("#" + "".join(f"{round(255 * share):02x}" for share in shade) for shade in (light, dark)))


def part_colour(part: str) -> str:
    """The name of the colour of a part of the time to first token."""
    return f"part-{part}"


COLOURS = PLAIN_COLOURS | {
    part_colour(part): PART_COLOURS.get(part, spare_shade(place)) for place, part in enumerate(Timing.parts())
}


def hexadecimal(name: str) -> str:
    """What a drawing takes for the colour ``name``; see ``variable_of``."""
    return COLOURS[name].light


def variable_of(colour: str) -> str | None:
    """The style sheet's variable that stands for a drawing's colour; None for one that is the same on all screens."""
    return next((f"var(--{name})" for name, shade in COLOURS.items() if shade.light == colour), None)


def style_sheet() -> str:
    """The definitions of all variables."""
    light = "".join(f"--{name}:{shade.light};" for name, shade in COLOURS.items())
    dark = "".join(f"--{name}:{shade.dark};" for name, shade in COLOURS.items())
    return (
        f":root{{color-scheme:light dark;{light}}}\n@media(prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f"@media print{{:root{{color-scheme:light;{light}}}}}\n"
    )
