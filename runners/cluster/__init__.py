"""Many machines: the cells of a run, each asked as a whole somewhere on a cluster."""
