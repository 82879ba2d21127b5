"""From chips to samples: every footprint of a batch is a sample or in the ledger."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds.chips.chip_stack import ChipStack
from factory_pipeline.builds.chips.landcover import extract_landcover
from factory_pipeline.builds.chips.samples import assemble_samples, drop_bad_samples
from factory_pipeline.builds.chips.sentinel2 import extract_sentinel2
from factory_pipeline.builds.chips.terrain import extract_terrain
from factory_pipeline.builds.reject_ledger import REJECT_SCHEMA
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.schema import TABLE_SCHEMA, Samples
from factory_pipeline_tests.builds.chips.factories import (
    GRID,
    ForgottenReader,
    MemoryReader,
    made_choices,
    made_footprints,
    made_product,
    made_scene,
    made_tile,
)
from factory_pipeline_tests.examples import up_to

RECIPE = Recipe()
DEM = np.add.outer(np.arange(GRID.height), np.arange(GRID.width)).astype(np.float32) / 4
COVER = (10 * (1 + np.add.outer(np.arange(GRID.height), np.arange(GRID.width)) % 9)).astype(np.uint8)


def made_layers(
    shots: list[int], no_scene: set[int] = frozenset(), no_dem: set[int] = frozenset(), no_cover=frozenset()
) -> tuple[pl.DataFrame, ChipStack, ChipStack, ChipStack]:
    """The chips of a batch in which some footprints fail in some layers."""
    footprints = made_footprints(shots)
    tried = {shot: [0] for shot in shots if shot not in no_scene}
    choices = made_choices([made_product("one")], tried, sorted(no_scene))
    sentinel2 = extract_sentinel2(footprints, choices, MemoryReader(made_scene("one")), RECIPE)
    windows = sentinel2.table
    dem = [() if shot in no_dem else (made_tile("dem"), made_tile("dem2")) for shot in windows["shot_number"]]
    cover = [() if shot in no_cover else (made_tile("map"),) for shot in windows["shot_number"]]
    terrain = extract_terrain(windows, dem, MemoryReader({"dem": DEM, "dem2": DEM}), RECIPE)
    landcover = extract_landcover(windows, cover, MemoryReader({"map": COVER}), RECIPE)
    return footprints, sentinel2, terrain, landcover


def test_samples_carry_every_layer_of_their_own_footprint():
    shots = [7, 3, 5, 1]
    footprints, *layers = made_layers(shots, no_scene={3})
    samples, rejects = assemble_samples(footprints, *layers, RECIPE)
    assert samples.table["shot_number"].to_list() == [7, 5, 1]
    scene = made_scene("one")
    for place, shot in enumerate([7, 5, 1]):
        window = slice(84 + shot, 116 + shot), slice(184 - shot, 216 - shot)
        np.testing.assert_array_equal(samples.sentinel2[place, 1], scene["one/B02"][window])
        np.testing.assert_array_equal(samples.copdem[place, 0], DEM[window])
        np.testing.assert_array_equal(samples.worldcover[place, 0], COVER[window])
        # In the middle of its pixel a footprint of 12.5 m touches the eight around it.
        label = np.full((32, 32), -9999, np.float32)
        label[15:18, 15:18] = 50 + shot
        np.testing.assert_array_equal(samples.label[place, 0], label)
    assert rejects.select("shot_number", "stage", "reason").rows() == [(3, "sentinel2", "no_product")]


def test_a_sample_that_fails_a_check_is_dropped_alone_with_its_reason():
    footprints, *layers = made_layers([7, 3, 5, 1])
    samples, rejects = assemble_samples(footprints, *layers, RECIPE)
    samples.copdem[0, 1, 4, 5] = np.nan
    samples.worldcover[1, 0, 3, 3] = 255
    samples.worldcover[0, 0, 3, 3] = 255
    wrong = samples.table.with_columns(agbd=pl.Series([57.0, 53.0, 0.0, 51.0], dtype=pl.Float32))
    kept, rejects = drop_bad_samples(replace(samples, table=wrong), rejects)
    assert kept.table["shot_number"].to_list() == [1]
    np.testing.assert_array_equal(kept.sentinel2, samples.sentinel2[3:])
    assert dict(rejects.select("shot_number", "reason").rows()) == {
        7: "land_cover",
        3: "land_cover",
        5: "biomass",
    }
    assert set(rejects["stage"]) == {"dataset"}
    details = dict(rejects.select("reason", "detail").rows())
    assert details["land_cover"].startswith("The sample has WorldCover pixels of no class of 0, 10, 20")


def test_a_batch_without_a_sample_has_no_bad_one():
    footprints, *layers = made_layers([7, 3], no_scene={7, 3})
    samples, rejects = drop_bad_samples(*assemble_samples(footprints, *layers, RECIPE))
    assert len(samples) == 0
    assert rejects.height == 2


def test_the_table_holds_what_the_file_needs():
    footprints, *layers = made_layers([5])
    samples, _ = assemble_samples(footprints, *layers, RECIPE)
    assert dict(samples.table.schema) == TABLE_SCHEMA
    (row,) = samples.table.to_dicts()
    assert row.pop("scl_fractions") == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    left, top = GRID.left + 10 * (195 - 16), GRID.top - 10 * (105 - 16)
    assert row == {
        "shot_number": 5,
        "granule": "GEDI04_A_2020036151358_O06515_02_T00198_02_002_01_V002",
        "beam": "BEAM0101",
        "acquisition_time": "2020-02-05T15:13:58Z",
        "delta_time": 65_900_005.123456,
        "latitude": footprints["lat_lowestmode"][0],
        "longitude": footprints["lon_lowestmode"][0],
        "agbd": 55.0,
        "agbd_se": 5.0,
        "transform": [10, 0, left, 0, -10, top, 0, 0, 1],
        "crs": "EPSG:32640",
        "s2_product": "one",
        "s2_item": "item-one",
        "baseline": "02.14",
        "offset_removed": 0,
        "dem_tiles": "dem;dem2",
        "dem_items": "item-dem;item-dem2",
        "worldcover_tiles": "map",
        "worldcover_items": "item-map",
        "batch": "train-00000-0a1b2c3d",
    }


@settings(max_examples=up_to(25), deadline=None)
@given(shots=st.permutations(range(6)), data=st.data())
def test_every_footprint_is_a_sample_or_in_the_ledger_once(shots, data):
    sets = [data.draw(st.sets(st.sampled_from(shots))) for _ in range(3)]
    footprints, *layers = made_layers(shots, *sets)
    samples, rejects = assemble_samples(footprints, *layers, RECIPE)
    lost = set.union(*sets)
    assert samples.table["shot_number"].to_list() == [shot for shot in shots if shot not in lost]
    assert rejects["shot_number"].to_list() == [shot for shot in shots if shot in lost]
    assert rejects.schema == REJECT_SCHEMA
    for shot, stage in rejects.select("shot_number", "stage").iter_rows():
        first = next(name for name, dropped in zip(STAGES, sets, strict=True) if shot in dropped)
        assert stage == first


STAGES = ("sentinel2", "copdem", "worldcover")


def test_a_batch_without_a_sample_is_valid():
    footprints, *layers = made_layers([1, 2], no_scene={1}, no_dem={2})
    samples, rejects = assemble_samples(footprints, *layers, RECIPE)
    assert len(samples) == 0
    assert samples.label.shape == Samples.empty(11, 32).label.shape
    assert rejects.height == 2


def test_chips_survive_their_file(tmp_path):
    footprints, *layers = made_layers([4, 2], no_dem={2})
    stored = []
    for place, stack in enumerate(layers):
        stack.save(tmp_path / f"{place}.npz")
        stored.append(ChipStack.load(tmp_path / f"{place}.npz"))
    samples, rejects = assemble_samples(footprints, *stored, RECIPE)
    expected, expected_rejects = assemble_samples(footprints, *layers, RECIPE)
    assert samples.table.equals(expected.table)
    assert rejects.equals(expected_rejects)
    np.testing.assert_array_equal(samples.copdem, expected.copdem)


def test_chips_of_another_batch_are_an_error():
    _, *layers = made_layers([1, 2, 3])
    with pytest.raises(ValueError, match="are not the 4 of the batch"):
        assemble_samples(made_footprints([1, 2, 3, 4]), *layers, RECIPE)


def test_no_window_is_kept_beside_the_chips_and_their_order_decides_nothing():
    products = [made_product("one"), made_product("two")]
    rasters = made_scene("one", 9) | made_scene("two") | {"two/B04": np.ones(GRID.shape, np.uint16)}
    tried = {7: [0, 1], 3: [1], 5: [0]}
    for scene in (rasters, rasters | made_scene("one")):
        chips = [
            extract_sentinel2(
                made_footprints([7, 3, 5]), made_choices(products, tried), reader(scene), RECIPE
            )
            for reader in (MemoryReader, ForgottenReader)
        ]
        tiles = [(made_tile("dem"),)] * chips[0].table.height
        dem = [
            extract_terrain(chips[0].table, tiles, reader({"dem": DEM}), RECIPE)
            for reader in (MemoryReader, ForgottenReader)
        ]
        cover = [
            extract_landcover(chips[0].table, tiles, reader({"dem": COVER}), RECIPE)
            for reader in (MemoryReader, ForgottenReader)
        ]
        for one, other in (chips, dem, cover):
            assert one.table.equals(other.table)
            assert one.rejects.equals(other.rejects)
            for name in one.arrays:
                np.testing.assert_array_equal(one.arrays[name], other.arrays[name])
