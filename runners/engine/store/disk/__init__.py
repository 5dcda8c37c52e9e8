"""The disk tier: entries as checked files in a directory that processes share."""
