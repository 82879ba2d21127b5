"""Rasters of any source on the windows of labels: read, masked, combined over time."""
