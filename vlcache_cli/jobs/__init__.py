"""The measurements of the commands: checked while that is cheap, then run."""
