"""Starting Dagster runs from a process that may belong to another program."""

from factory_pipeline.callers_random import import_drawing_modules

# Before modules of Dagster that import them.
import_drawing_modules()
