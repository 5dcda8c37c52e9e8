"""Workloads from public data sets, each described by a YAML file."""
