"""Builds of the GEDI dataset and of recipes, from labels to dataset files, without Dagster."""
