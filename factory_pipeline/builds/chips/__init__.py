"""Chips of each raster source, cut on one pixel grid."""
