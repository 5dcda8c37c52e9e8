"""Workloads that are drawn from a seed, with pages and questions of their own."""
