"""GEDI footprints: granules, filters, subsets and batches."""
