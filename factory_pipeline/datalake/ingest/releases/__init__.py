"""Releases (tar.gz of GeoTIFF images and GeoJSON labels) on their way into the data lake."""
