"""Workloads from files of requests that users have."""
