"""The forward pass through decoder layers: one layer for some tokens, or layers in a row as recorded work."""
