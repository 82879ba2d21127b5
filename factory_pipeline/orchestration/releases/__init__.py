"""Dagster assets of releases that are imported."""
