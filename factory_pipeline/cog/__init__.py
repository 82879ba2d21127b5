"""The block engine: cloud-optimized GeoTIFFs read block by block."""
