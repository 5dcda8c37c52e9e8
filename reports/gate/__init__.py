"""Judging a run for CI: requirements, evidence, result, and its forms."""
