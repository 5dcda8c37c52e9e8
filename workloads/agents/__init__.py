"""Workloads of agents that see screenshots: a window of them slides on at every step, which breaks the prefix."""
