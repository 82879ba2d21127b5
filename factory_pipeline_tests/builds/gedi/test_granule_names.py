"""The parts of a granule's name."""

from datetime import UTC, datetime

import pytest

from factory_pipeline.builds.gedi.granule_names import L4A, granule_stem, parse_granule_name, pattern_of
from factory_pipeline.config.gedi_products import gedi_products
from factory_pipeline.errors import GranuleError

NAME = "GEDI04_A_2019108002012_O01959_03_T03909_02_002_01_V002.h5"


def test_a_name_is_read() -> None:
    name = parse_granule_name(NAME)
    assert name.acquired == datetime(2019, 4, 18, 0, 20, 12, tzinfo=UTC)
    assert name.acquisition == (1959, 3, 3909)
    assert (name.software, name.production, name.version) == ("002", "01", "002")


def test_the_suffix_may_be_missing_or_spelt_otherwise() -> None:
    assert granule_stem("a.V2.h5") == granule_stem("a.V2.HDF5") == granule_stem("a.V2") == "a.V2"
    assert parse_granule_name(NAME.removesuffix(".h5")) == parse_granule_name(NAME)


def test_the_release_is_the_version_without_what_a_subsetter_added() -> None:
    assert parse_granule_name(NAME.replace("V002", "V002_10algs")).release == "002"


def test_productions_are_ordered_by_numbers_not_by_text() -> None:
    ranks = [
        parse_granule_name(NAME.replace("_01_V002", f"_{production}_V{version}")).rank
        for production, version in (("9", "002"), ("10", "002"), ("1", "003"))
    ]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("day", ["000", "366", "400"])
def test_a_day_that_the_year_does_not_have_is_refused(day: str) -> None:
    with pytest.raises(GranuleError, match="holds no time of the form YYYYDDDHHMMSS"):
        parse_granule_name(NAME.replace("2019108", f"2019{day}"))


def test_the_name_must_be_of_the_product() -> None:
    with pytest.raises(GranuleError, match="is not named like a GEDI L2A granule, GEDI02_A_YYYY"):
        parse_granule_name(NAME, gedi_products()["L2A"])
    assert pattern_of(L4A).startswith("GEDI04_A_")
