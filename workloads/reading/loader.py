"""Load YAML that strangers wrote in bounded time: so many values, so deep, and no endless numbers."""

from __future__ import annotations

from typing import Any

import yaml

MOST_VALUES = 10_000  # PyYAML takes about 0.4 s for them
MOST_FLOW = 100
LONGEST_BASE_60 = 100


class BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which ends with a YAMLError or RecursionError where it would go on for long."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Count the value."""
        self._values += 1
        _require_few(self._values)
        return super().compose_node(parent, index)

    def fetch_flow_collection_start(self, token: Any) -> None:
        """Begin a list or mapping in brackets, of which only so many stand within each other."""
        if self.flow_level >= MOST_FLOW:
            raise RecursionError
        super().fetch_flow_collection_start(token)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what is merged into a mapping, which aliases could make grow without end."""
        super().flatten_mapping(node)
        _require_few(len(node.value))

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Read a whole number, to which base 60 takes quadratic time."""
        if ":" in node.value and len(node.value) > LONGEST_BASE_60:
            raise yaml.YAMLError("a number to base 60 is too long")
        return super().construct_yaml_int(node)


BoundedLoader.add_constructor("tag:yaml.org,2002:int", BoundedLoader.construct_yaml_int)


def _require_few(values: int) -> None:
    """Refuse a file that holds too many values."""
    if values > MOST_VALUES:
        raise yaml.YAMLError(f"it holds more than {MOST_VALUES} values")
