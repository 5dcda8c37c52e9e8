"""Measurements of a request: time by parts, FLOPs, peak memory, and the roofline."""
