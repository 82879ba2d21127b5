"""STAC catalogs: search, items, choice of products."""
