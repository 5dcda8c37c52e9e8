"""Judging a run for CI: requirements, evidence, verdict, and how it is told."""
