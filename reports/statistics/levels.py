"""Default margin of non-inferiority, and default alpha: intervals have the confidence 1 - alpha."""

from __future__ import annotations

DEFAULT_MARGIN = 0.02
"""The loss of accuracy, 0..1, that is too much."""

DEFAULT_ALPHA = 0.05

BOUNDED = 0.05
"""A loss of accuracy, 0..1, below which a screen calls a runner safe within bounds, whatever the margin."""
