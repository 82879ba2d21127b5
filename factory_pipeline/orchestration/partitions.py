"""What is worked on in parallel."""

import dagster as dg

BATCHES = "batches"
"""Name of the set of keys in the instance."""

batches = dg.DynamicPartitionsDefinition(name=BATCHES)
"""A key per batch of footprints, such as `train-00017-1f3a5c7e`: it names the batch's content, so it is
never reused. The subset registers the keys."""

RECIPES = "recipes"
"""Name of the set of keys in the instance."""

recipes = dg.DynamicPartitionsDefinition(name=RECIPES)
"""A key per recipe of the inbox, `name@digest` of its content. The sensor of the inbox registers the keys."""

RECIPE_BUILDS = "recipe_builds"
"""Name of the set of keys in the instance."""

recipe_builds = dg.DynamicPartitionsDefinition(name=RECIPE_BUILDS)
"""A key per build of a recipe: the recipe's name."""

RECIPE_BATCHES = "recipe_batches"
"""Name of the set of keys in the instance."""

recipe_batches = dg.DynamicPartitionsDefinition(name=RECIPE_BATCHES)
"""A key per batch of a recipe's build, such as `crops:train-00017-1f3a5c7e`. The labels register the keys."""

DATASETS = "datasets"
"""Name of the set of keys in the instance."""

datasets = dg.DynamicPartitionsDefinition(name=DATASETS)
"""A key per version of an onboarded dataset, such as `burn-scars@1f2e3d4c`: it names the content of manifest
and archive. The sensor of the inbox and the command line register the keys."""

RELEASES = "releases"
"""Name of the set of keys in the instance."""

releases = dg.DynamicPartitionsDefinition(name=RELEASES)
"""A key per imported release, such as `ts-104-1-0-1@1f2e3d4c`: it names the content of the archive and what
the user said of it. The sensor of the inbox and the command line register the keys."""

PAIR_SETS = "pair_sets"
"""Name of the set of keys in the instance."""

pair_sets = dg.DynamicPartitionsDefinition(name=PAIR_SETS)
"""A key per spec of image pairs, `name@digest` of its content. The sensor of the inbox registers the keys."""

PAIR_BATCHES = "pair_batches"
"""Name of the set of keys in the instance."""

pair_batches = dg.DynamicPartitionsDefinition(name=PAIR_BATCHES)
"""A key per batch of sections, `<key of the set>-<number>-<digest>`. The spec registers the keys."""

FIELD_SHARDS = "field_shards"
"""Name of the set of keys in the instance."""

field_shards = dg.DynamicPartitionsDefinition(name=FIELD_SHARDS)
"""A key per shard of fields, `<key of the set>-<start>-<stop>-<digest>`. The pairs register the keys."""

VERSIONS = "versions"
"""Name of the set of keys in the instance."""

versions = dg.DynamicPartitionsDefinition(name=VERSIONS)
"""A key per version of a dataset in the registry, such as `balloons-1.0.0@<id>`: see `versions.keys`."""
