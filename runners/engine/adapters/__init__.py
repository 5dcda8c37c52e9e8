"""Model families the engine knows, one file each."""
