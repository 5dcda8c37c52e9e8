"""Numbers with uncertainty: intervals, tests, bounds, and how many requests would decide."""
