"""Default margin of non-inferiority, and default alpha: intervals have the confidence 1 - alpha."""

from __future__ import annotations

DEFAULT_MARGIN = 0.02
"""The loss of accuracy, 0..1, that is too much."""

DEFAULT_ALPHA = 0.05

LOOK = 0.02
"""Share of alpha spent on runners that are judged by the first requests of a run, where it follows up on others.

Two looks at a run must not err more often than one. What little the first look may err by decides on a runner that
loses half of its answers after ten, and costs the second look less than one request (Haybittle, British Journal of
Radiology 44, 1971; Peto et al., British Journal of Cancer 34, 1976).
"""

BOUNDED = 0.05
"""A loss of accuracy, 0..1, below which a screen calls a runner safe within bounds, whatever the margin."""
