"""What is worked on in parallel."""

import dagster as dg

BATCHES = "batches"
"""Name of the set of keys in the instance."""

batches = dg.DynamicPartitionsDefinition(name=BATCHES)
"""A key per batch of footprints, such as `train-00017-1f3a5c7e`: it names the batch's content, so it is
never reused. The subset registers the keys."""
