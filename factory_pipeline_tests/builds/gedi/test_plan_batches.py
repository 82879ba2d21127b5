from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds.gedi import plan_batches as planning
from factory_pipeline.builds.gedi.batches import BatchPlan, CatalogKey, StoredPlan
from factory_pipeline.builds.gedi.plan_batches import morton_cells, plan_batches, write_plan
from factory_pipeline.builds.plan_keys import split_of
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.storage.sort_on_disk import sort_on_disk
from factory_pipeline_tests.builds.gedi.factories import footprints
from factory_pipeline_tests.examples import up_to


def scattered(shots: int, seed: int = 0, first_shot: int = 1) -> pl.DataFrame:
    """Footprints all over the globe and over a year."""
    random = np.random.default_rng(seed)
    return footprints(
        shots,
        shot_number=np.arange(first_shot, first_shot + shots),
        delta_time=random.uniform(7e7, 1e8, shots),
        lat_lowestmode=random.uniform(-52, 52, shots),
        lon_lowestmode=random.uniform(-180, 180, shots),
    )


def recipe(batch_size: int, **sections: Any) -> Recipe:
    return Recipe.parse({"batch_size": batch_size, **sections}, "of the test")


@pytest.mark.integration
@settings(max_examples=up_to(20), deadline=None)
@given(st.integers(0, 60), st.integers(0, 20), st.integers(1, 25), st.integers(0, 5))
def test_every_footprint_is_in_one_batch_of_the_right_size(
    train: int, test: int, size: int, seed: int
) -> None:
    subsets = {"train": scattered(train, seed), "test": scattered(test, seed, first_shot=1000)}
    plan = plan_batches(subsets, recipe(size))
    assert plan.facts.splits == ("train", "test")
    assert plan.footprints_by_split == {"train": train, "test": test}
    assert plan.keys == [*plan.keys_of("train"), *plan.keys_of("test")]
    for split, subset in subsets.items():
        sizes = [plan.sizes[key] for key in plan.keys_of(split)]
        assert sizes == [size] * (subset.height // size) + [subset.height % size] * bool(subset.height % size)
        batches = [plan.batch(key) for key in plan.keys_of(split)]
        members = pl.concat([plan.table.clear(), *batches]).select(subset.columns).sort("shot_number")
        assert members.equals(subset)
        for number, (key, batch) in enumerate(zip(plan.keys_of(split), batches, strict=True)):
            assert key.startswith(f"{split}-{number:05d}-")
            assert split_of(key) == split
            assert batch["position"].to_list() == list(range(batch.height))


@pytest.mark.integration
@settings(max_examples=up_to(15), deadline=None)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 12), st.integers(0, 5))
def test_what_is_batched_keeps_its_batch(before: int, arriving: int, size: int, seed: int) -> None:
    first = scattered(before, seed)
    earlier = plan_batches({"train": first}, recipe(size))
    everything = pl.concat([first, scattered(arriving, seed + 1, first_shot=500)])
    later = plan_batches(
        {"train": everything.sample(fraction=1, shuffle=True, seed=seed)}, recipe(size), earlier
    )
    assert later.keys[: len(earlier.keys)] == earlier.keys
    assert later.table.head(before).equals(earlier.table)
    assert [int(key.split("-")[1]) for key in later.keys] == list(range(len(later.keys)))
    assert later.footprints == before + arriving


def test_the_plan_does_not_depend_on_the_order_of_rows() -> None:
    subset = scattered(50)
    one, other = (plan_batches({"train": rows}, recipe(8)) for rows in (subset, subset.reverse()))
    assert one.table.equals(other.table)
    assert one.digest == other.digest


def test_a_batch_that_lost_a_footprint_is_dissolved() -> None:
    subset = scattered(30)
    earlier = plan_batches({"train": subset}, recipe(10))
    lost = earlier.batch(earlier.keys[1])["shot_number"][3]
    later = plan_batches({"train": subset.filter(pl.col("shot_number") != lost)}, recipe(10), earlier)
    assert [key for key in earlier.keys if key in later.keys] == [earlier.keys[0], earlier.keys[2]]
    assert later.sizes[later.keys[-1]] == 9
    assert later.keys[-1].startswith("train-00003-")


@pytest.mark.parametrize("field", ["delta_time", "lat_lowestmode", "lon_lowestmode", "agbd", "agbd_se"])
def test_a_batch_with_a_changed_value_is_dissolved(field: str) -> None:
    subset = scattered(30)
    earlier = plan_batches({"train": subset}, recipe(10))
    changed = subset.with_columns(
        pl.when(pl.col("shot_number") == 7).then(pl.col(field) + 1).otherwise(field)
    )
    later = plan_batches({"train": changed}, recipe(10), earlier)
    assert len(set(earlier.keys) & set(later.keys)) == 2


def test_another_extraction_gives_other_keys() -> None:
    subset = {"train": scattered(30)}
    earlier = plan_batches(subset, recipe(10))
    other_checks = recipe(10, terrain={"max_slope": 20})
    later = plan_batches(subset, other_checks, earlier)
    assert not set(earlier.keys) & set(later.keys)
    assert later.table.equals(plan_batches(subset, other_checks).table)
    assert later.digest != earlier.digest


def test_another_filter_keeps_the_keys() -> None:
    subset = {"train": scattered(30)}
    assert plan_batches(subset, recipe(10)).keys == plan_batches(subset, recipe(10, subset={"seed": 7})).keys


def test_a_batch_is_near_in_space_then_in_time() -> None:
    """Two passes over two cells: each batch holds one pass over one cell."""
    table = footprints(
        40,
        lat_lowestmode=np.tile([36.2, 37.2], 20),
        lon_lowestmode=np.linspace(51.1, 51.9, 40),
        delta_time=np.repeat([7e7, 9e7], 20) + np.arange(40),
    )
    plan = plan_batches({"train": table}, recipe(10))
    for key in plan.keys:
        batch = plan.batch(key)
        assert batch["lat_lowestmode"].n_unique() == 1
        assert batch["delta_time"].max() - batch["delta_time"].min() < 100


def test_morton_cells_interleave_the_bits_of_row_and_column() -> None:
    random = np.random.default_rng(3)
    latitude, longitude = random.uniform(-90, 90, 50), random.uniform(-180, 180, 50)
    for y, x, cell in zip(latitude, longitude, morton_cells(latitude, longitude), strict=True):
        row, column = f"{int(y // 1) + 90:09b}", f"{int(x // 1) + 180:09b}"
        assert f"{cell:018b}" == "".join(r + c for r, c in zip(row, column, strict=True))
    assert morton_cells(np.array([90.0]), np.array([180.0]))[0] > 0


def test_a_plan_that_is_written_part_by_part_is_the_one_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "sort_on_disk", partial(sort_on_disk, most=7))
    train, path = scattered(95).with_columns(note=pl.lit(1)), tmp_path / "plan.parquet"
    test = scattered(15, first_shot=1000).with_columns(note=pl.lit("dry"))
    changed = train.filter(pl.col("shot_number") != 40).with_columns(
        agbd=pl.when(pl.col("shot_number") == 60).then(99).otherwise("agbd")
    )
    in_memory = None
    for number, rows in enumerate((train, train.head(60), train, changed, changed.head(0))):
        subsets = {"train": rows, "test": test}
        asked = recipe(10, subset={"seed": number // 2})
        in_memory = plan_batches(subsets, asked, in_memory)
        earlier = StoredPlan(path) if path.exists() else None
        lazy = {split: subset.lazy() for split, subset in subsets.items()}
        stored = write_plan(path, lazy, asked, earlier)
        assert stored.facts == in_memory.facts
        assert stored.keys == in_memory.keys
        assert BatchPlan.load(path).table.equals(in_memory.table)
        assert stored.footprints_by_split == in_memory.footprints_by_split
        assert all(stored.batch(key).equals(in_memory.batch(key)) for key in stored.keys)


def test_an_empty_subset_is_an_empty_plan(tmp_path: Path) -> None:
    plan = plan_batches({"train": footprints(0)}, recipe(10))
    plan.save(tmp_path / "plan.parquet")
    assert BatchPlan.load(tmp_path / "plan.parquet").keys == []
    assert plan_batches({"train": scattered(5)}, recipe(10), plan).footprints == 5


def test_columns_of_a_user_keep_apart_from_those_of_the_pipeline() -> None:
    own = {name: pl.lit(name) for name in ("product_name", "item_id", "epsg", "cell", "batch", "position")}
    train = scattered(25).with_row_index("index").with_columns(**own, note=pl.lit(1))
    test = scattered(5).with_columns(pl.lit("dry").alias("note"), shot_number=pl.col("shot_number") + 1000)
    plan = plan_batches({"train": train, "test": test}, recipe(10))
    plain = plan_batches({"train": scattered(25), "test": test.drop("note")}, recipe(10))
    assert plan.keys == plain.keys
    assert plan.table.select(plain.table.columns).equals(plain.table)
    added = [name for name in plan.table.columns if name not in plain.table.columns]
    assert sorted(added) == sorted(f"extra:{name}" for name in [*own, "index", "note"])
    assert plan.table.filter(split="train")["extra:epsg"].to_list() == ["epsg"] * 25
    assert plan.table.filter(split="test")["extra:epsg"].to_list() == [None] * 5
    assert plan.table["extra:note"].unique().sort().to_list() == ["1", "dry"]
    # The columns stay where granules arrive later.
    later = plan_batches({"train": train, "test": test}, recipe(10), plan)
    assert later.table.equals(plan.table)


def test_another_catalog_makes_every_batch_anew_and_says_so(tmp_path: Path) -> None:
    subset = {"train": scattered(25)}
    one, other = CatalogKey("one", "1" * 64), CatalogKey("other", "2" * 64)
    first = plan_batches(subset, recipe(10), None, one)
    first.save(tmp_path / "plan.parquet")
    earlier = BatchPlan.load(tmp_path / "plan.parquet")
    assert (earlier.facts.catalog, earlier.facts.seed, earlier.change) == (one, 42, "")
    assert plan_batches(subset, recipe(10), earlier, one).keys == first.keys
    later = plan_batches(subset, recipe(10), earlier, other)
    assert not set(later.keys) & set(first.keys)
    assert later.change == (
        "The catalog is other now, one before."
        " Of the 3 batches that were planned 0 are kept; 3 are made anew."
    )
    assert plan_batches(subset, recipe(10), later, one).keys == first.keys


def test_another_rule_of_the_subset_is_said_and_kept(tmp_path: Path) -> None:
    subset = {"train": scattered(30)}
    first = plan_batches(subset, recipe(10))
    later = plan_batches(subset, recipe(10, subset={"by": ["tile", "agbd"]}), first)
    assert later.keys == first.keys
    assert later.change.startswith("The subset is drawn by tile, agbd now, by day before. Of the 3 batches")
    later.save(tmp_path / "plan.parquet")
    assert BatchPlan.load(tmp_path / "plan.parquet").facts.drawn_by == "by tile, agbd"
    covering = plan_batches(subset, recipe(10, subset={"cover": ["agbd"]}), later)
    assert "drawn to cover agbd now, by tile, agbd before" in covering.change


def test_another_seed_is_said_and_batches_of_the_same_footprints_stay() -> None:
    subset = {"train": scattered(25)}
    first = plan_batches(subset, recipe(10))
    later = plan_batches(subset, recipe(10, subset={"seed": 7}), first)
    assert later.keys == first.keys
    assert later.change == (
        "The seed of the subset is 7 now, 42 before."
        " Of the 3 batches that were planned 3 are kept; 0 are made anew."
    )
