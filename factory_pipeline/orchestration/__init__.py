"""The upper floor: a module per chapter of the story, thin over the domain."""

import warnings

import dagster as dg

# The parts of Dagster that are used and marked as beta or preview are tested here; users need not hear of it.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
