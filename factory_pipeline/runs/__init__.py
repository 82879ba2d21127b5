"""Start Dagster runs from a process that may belong to somebody else."""
