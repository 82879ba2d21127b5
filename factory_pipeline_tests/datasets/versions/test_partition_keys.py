from factory_pipeline.datasets.versions.partition_keys import version_key, version_of


def test_a_key_names_dataset_and_number_and_leads_back_to_the_id() -> None:
    key = version_key("Burn Scars", "1.2.0", "0a1b")
    assert key == "burn-scars-1.2.0@0a1b"
    assert version_of(key) == "0a1b"
