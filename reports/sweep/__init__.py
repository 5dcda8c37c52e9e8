"""A sweep over recompute ratios: its points, the Pareto front and the recommendation."""
