"""Headers, pixels, statistics and overlap of rasters."""
