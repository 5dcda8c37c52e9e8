"""The forms of a gate's result: one file each."""
