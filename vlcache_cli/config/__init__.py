"""Settings of the commands: declared once, read from presets, files and flags."""
