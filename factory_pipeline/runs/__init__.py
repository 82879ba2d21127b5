"""Starting Dagster runs from a process that may belong to another program."""
