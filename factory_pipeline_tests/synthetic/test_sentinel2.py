"""Products of the sample's world: names, times and the offset of their baseline."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.stac.pixel_offset import read_baseline
from factory_pipeline.synthetic.mgrs import MgrsTile
from factory_pipeline.synthetic.sentinel2 import ASSET_RESOLUTIONS, SyntheticProduct, Visit, sensing_time

TIME = datetime(2020, 6, 10, 10, 5, 31, 24000, tzinfo=UTC)
TILE = MgrsTile(32633, 4, 52)


def product(key: int = 4, **visit: Any) -> SyntheticProduct:
    return SyntheticProduct(
        Visit(**({"days": 1.0, "cloud_cover": 10.0} | visit)), TIME, TILE, key, (15.0, 47.0)
    )


@given(st.floats(-179, 179), st.floats(-40, 40))
def test_it_is_ten_past_ten_by_the_sun_near_the_day_that_is_asked_for(longitude: float, days: float) -> None:
    found = sensing_time(TIME, longitude, days)
    since_noon = (found - datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=longitude / 15)) % timedelta(
        days=1
    )
    assert abs(since_noon - timedelta(hours=10, minutes=10)) < timedelta(seconds=1)
    assert abs(found - TIME - timedelta(days=days)) <= timedelta(hours=12, seconds=1)


def test_names_tell_satellite_time_tile_and_baseline() -> None:
    made = product()
    assert (
        made.item_id == f"S2A_MSIL2A_20200610T100531_R{made.relative_orbit:03d}_T{TILE.name}_20200611T051231"
    )
    assert made.product_uri.startswith("S2A_MSIL2A_20200610T100531_N0214_")
    assert made.product_uri.endswith(".SAFE")
    assert product(key=5).platform == "S2B"
    assert made.asset_file("SCL") == f"T{TILE.name}_20200610T100531_SCL_20m.tif"


def test_a_product_that_was_processed_again_has_an_offset_and_a_later_name() -> None:
    old, new = product(), product(baseline="05.10")
    assert (old.offset, new.offset) == (0, 1000)
    assert new.generation_time - old.generation_time > timedelta(days=800)
    assert old.item_id != new.item_id
    properties = {"s2:processing_baseline": new.visit.baseline}
    assert read_baseline(properties, new.item_id) == "05.10"


def test_assets_that_a_visit_lacks_and_clouds_over_the_middle() -> None:
    assert set(product(lacks=("B09", "SCL")).assets) == ASSET_RESOLUTIONS.keys() - {"B09", "SCL"}
    assert product().sky.bank is None
    assert product(bank_radius=300.0).sky.bank == (15.0, 47.0, 300.0)
