"""Querying items of the data lake: the short form and CQL2, over labels, metadata, time and space."""
