"""A GEDI build from labels to dataset files, without Dagster."""
