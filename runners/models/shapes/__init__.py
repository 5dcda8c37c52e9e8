"""Models known by their published shape: with random weights they show time and memory, and need no download."""
