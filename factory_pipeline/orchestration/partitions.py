"""What is worked on in parallel."""

import dagster as dg

BATCHES = "batches"
"""Name of the set of keys in the instance."""

batches = dg.DynamicPartitionsDefinition(name=BATCHES)
"""A key per batch of footprints, such as `train-00017-1f3a5c7e`: it names the batch's content, so it is
never reused. The subset registers the keys."""

DATASETS = "datasets"
"""Name of the set of keys in the instance."""

datasets = dg.DynamicPartitionsDefinition(name=DATASETS)
"""A key per version of an onboarded dataset, such as `burn-scars@1f2e3d4c`: it names the content of manifest
and archive. The sensor of the inbox and the command line register the keys."""

VERSIONS = "versions"
"""Name of the set of keys in the instance."""

versions = dg.DynamicPartitionsDefinition(name=VERSIONS)
"""A key per version of a dataset in the registry, such as `balloons-1.0.0@<id>`: see `versions.keys`."""
