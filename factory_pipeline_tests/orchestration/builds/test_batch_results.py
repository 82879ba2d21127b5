"""Findings in batch files become one result for each check."""

import dagster as dg

from factory_pipeline.hdf5.verify import Finding
from factory_pipeline.orchestration.builds.batch_results import results_of_batches

ASSET = dg.AssetKey("batch_dataset")
GOOD = [Finding("schema", True, "All there."), Finding("biomass", True, "All positive.")]


def test_a_check_fails_if_that_of_one_batch_did_and_describes_these_batches() -> None:
    bad = [Finding("schema", True, "All there."), Finding("biomass", False, "2 are negative.")]
    schema, biomass = results_of_batches(ASSET, ("schema", "biomass"), {"b1": bad, "b2": GOOD, "b3": bad})
    assert (schema.check_name, schema.passed, schema.description) == ("schema", True, None)
    assert (biomass.check_name, biomass.passed, biomass.asset_key) == ("biomass", False, ASSET)
    assert biomass.description == (
        "The file of batch b1: 2 are negative. The file of batch b3: 2 are negative."
    )
    assert {name: value.value for name, value in biomass.metadata.items()} == {"batches": 3, "failed": 2}


def test_a_check_that_was_not_reached_in_a_damaged_file_passes() -> None:
    damaged = [Finding("schema", False, "It lacks data/Id.")]
    schema, biomass = results_of_batches(ASSET, ("schema", "biomass"), {"b1": damaged})
    assert (schema.passed, biomass.passed) == (False, True)
