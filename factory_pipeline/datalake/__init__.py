"""The data lake: tables of items and annotations, registry, queries, ingest."""
