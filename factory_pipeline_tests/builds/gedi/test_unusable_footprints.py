import math

import polars as pl

from factory_pipeline.builds.gedi.unusable_footprints import NO_BIOMASS, NO_PLACE, NO_TIME, part_unusable

GOOD = {
    "shot_number": 1,
    "lat_lowestmode": 50.0,
    "lon_lowestmode": 10.0,
    "delta_time": 1e8,
    "agbd": 5.0,
    "agbd_se": 0.0,
}


def test_each_footprint_is_kept_or_dropped_for_its_first_reason() -> None:
    bad = [
        ({"lat_lowestmode": 91.0, "delta_time": None}, NO_PLACE),
        ({"lon_lowestmode": math.nan}, NO_PLACE),
        ({"delta_time": -1.0}, NO_TIME),
        ({"agbd": 0.0}, NO_BIOMASS),
        ({"agbd": math.inf}, NO_BIOMASS),
        ({"agbd_se": None}, NO_BIOMASS),
    ]
    rows = [GOOD] + [{**GOOD, "shot_number": 2 + n, **change} for n, (change, _) in enumerate(bad)]
    left, rejects = part_unusable(pl.DataFrame(rows), "quality")
    assert left["shot_number"].to_list() == [1]
    told = dict(zip(rejects["shot_number"], rejects["reason"], strict=True))
    assert told == {2 + n: reason for n, (_, reason) in enumerate(bad)}
    assert set(rejects["stage"]) == {"quality"}
    assert "agbd_se is missing" in rejects.filter(shot_number=7)["detail"].item()


def test_nothing_is_dropped_from_good_footprints() -> None:
    left, rejects = part_unusable(pl.DataFrame([GOOD]), "quality")
    assert left.rows(named=True) == [GOOD]
    assert rejects.is_empty()
