"""Workloads that are tasks of lm-eval, asked and scored by its rules."""
