"""Dagster: assets, checks, sensors and schedules, thin over the domain packages."""

import warnings

import dagster as dg

from factory_pipeline.callers_random import import_drawing_modules

# Before modules of Dagster that import them.
import_drawing_modules()
# The beta and preview features of Dagster that are used are tested here, so users need no warning.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
