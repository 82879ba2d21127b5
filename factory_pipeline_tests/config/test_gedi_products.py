"""The products of GEDI: fields of each version by one name, units and profiles."""

import pytest

from factory_pipeline.config.gedi_products import Profile, gedi_products

L2A, L4A = gedi_products()["L2A"], gedi_products()["L4A"]


def test_every_product_is_there_once() -> None:
    assert list(gedi_products()) == ["L2A", "L2B", "L4A", "L4C"]
    assert len({product.prefix for product in gedi_products().values()}) == 4


@pytest.mark.parametrize(("version", "field"), [("002", "quality_flag"), ("003", "l2a_quality_flag_rel3")])
def test_a_field_that_was_renamed_is_found_by_version(version: str, field: str) -> None:
    assert L2A.field_in("quality_flag", version) == field


def test_later_versions_keep_the_last_name() -> None:
    assert L2A.field_in("quality_flag", "004") == "l2a_quality_flag_rel3"
    assert L2A.field_in("sensitivity", "003") == "sensitivity"


def test_the_setting_of_an_algorithm_stays_in_the_name() -> None:
    field = "agbd_prediction/algorithm_run_flag_a10"
    assert L4A.field_in(field, "003") == "agbd_prediction/l2_algrunflag_a10"
    assert L4A.field_in(field, "002") == field


def test_units_hold_for_every_setting_of_an_algorithm() -> None:
    assert L2A.unit_of("rh") == L2A.unit_of("geolocation/rh_a5") == "m"
    assert L4A.unit_of("agbd") == "Mg/ha"
    assert L4A.unit_of("no_such_field") == ""


def test_a_profile_has_a_place_for_each_value() -> None:
    profile = L4A.profile_of("xvar")
    assert profile is not None
    assert profile.values.tolist() == [1, 2, 3, 4]
    assert L4A.profile_of("agbd") is None
    assert Profile(axis="height", unit="m", first=2.5, step=5, length=3).values.tolist() == [2.5, 7.5, 12.5]
