"""The fused files of a build as an upload, and the dataset that the onboarding makes of it."""

import io
import re
import zipfile
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import rasterio
import yaml

from factory_pipeline.builds import training_rasters
from factory_pipeline.builds.training_upload import GediUpload, upload_splits, write_gedi_upload
from factory_pipeline.config.build_settings import Modality
from factory_pipeline.config.recipe import DateRange, Recipe
from factory_pipeline.errors import BuildError, OnboardingError
from factory_pipeline.hdf5.schema import LABEL_NODATA
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.splits.assign import SPLIT_FILES
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.upload_files import DatasetFiles
from factory_pipeline_tests.hdf5.factories import made_samples, part_of
from factory_pipeline_tests.onboarding.factory import Bench, bytes_below, requested

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

RECIPE = Recipe(name="Biomass", window_size=8)


def fused_files(folder: Path, train: int = 12, test: int = 4, recipe: Recipe = RECIPE) -> dict[str, Path]:
    """A fused file per split; with more samples the first ones are the same."""
    fused = {}
    for seed, (split, count) in enumerate({"train": train, "test": test}.items()):
        fused[split] = folder / f"{split}_dataset.h5"
        samples = part_of(made_samples(40, f"{split}-0", seed, recipe), 0, count)
        write_dataset(fused[split], samples, recipe, split)
    return fused


def upload_into(
    folder: Path, fused: dict[str, Path], modalities: tuple[Modality, ...] = ("S2",)
) -> GediUpload:
    return write_gedi_upload(fused, RECIPE, modalities, folder / "biomass.zip", folder / "biomass.yaml")


def drop(bench: Bench, fused: dict[str, Path], modalities: tuple[Modality, ...] = ("S2",)) -> Path:
    """Put an upload into the inbox as a build does."""
    return upload_into(bench.home.upload_inbox, fused, modalities).manifest


def onboard(bench: Bench, manifest: Path) -> DatasetFiles:
    return bench.home.upload(bench.prepare_dropped(manifest)).finished


def splits_of(files: DatasetFiles) -> dict[str, str]:
    return dict(pl.read_parquet(files.items, columns=["original_name", "split"]).rows())


def rows_of(fused: dict[str, Path], field: str) -> dict[str, np.ndarray]:
    """A raster of the fused files by shot."""
    found = {}
    for path in fused.values():
        with h5py.File(path) as file:
            shots = file["data/GEDI Shot Number"][:, 0].tolist()
            found.update(zip(map(str, shots), file[f"data/{field}"][:], strict=True))
    return found


def test_every_sample_is_an_image_and_a_label_where_it_lies_on_the_ground(tmp_path: Path) -> None:
    fused = fused_files(tmp_path)
    upload = upload_into(tmp_path, fused)
    assert upload.samples == {"train": 12, "test": 4}
    bands, labels = rows_of(fused, "Sentinel-2 L2A"), rows_of(fused, "AGBD Raster")
    transforms, codes = rows_of(fused, "Transforms"), rows_of(fused, "CRS")
    with zipfile.ZipFile(upload.archive) as archive:
        assert len(archive.namelist()) == 2 * 16 + 1
        for shot in bands:
            with rasterio.open(io.BytesIO(archive.read(f"images/{shot}_S2.tif"))) as image:
                np.testing.assert_array_equal(image.read(), bands[shot][1:])
                assert image.descriptions == RECIPE.sentinel2.bands
                assert (image.nodata, image.crs.to_string()) == (0, codes[shot][0].decode())
                assert list(image.transform) == transforms[shot].tolist()
            with rasterio.open(io.BytesIO(archive.read(f"labels/{shot}_AGBD.tif"))) as label:
                np.testing.assert_array_equal(label.read(), labels[shot])
                assert label.nodata == LABEL_NODATA
                assert list(label.transform) == transforms[shot].tolist()


def test_the_same_samples_are_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    one = upload_into(tmp_path / "one", fused_files(tmp_path / "one"))
    other = upload_into(tmp_path / "other", fused_files(tmp_path / "other"))
    assert one.archive.read_bytes() == other.archive.read_bytes()
    assert one.manifest.read_bytes() == other.manifest.read_bytes()


def test_an_upload_that_lies_there_is_left_as_it_is(tmp_path: Path) -> None:
    fused = fused_files(tmp_path)
    first = upload_into(tmp_path, fused)
    before = [path.stat().st_mtime_ns for path in (first.archive, first.manifest)]
    again = upload_into(tmp_path, fused)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.samples == first.samples
    assert [path.stat().st_mtime_ns for path in (first.archive, first.manifest)] == before


@pytest.mark.parametrize("changed", ["samples", "modalities", "manifest"])
def test_another_content_is_written_again(tmp_path: Path, changed: str) -> None:
    first = upload_into(tmp_path, fused_files(tmp_path))
    if changed == "manifest":
        first.manifest.unlink()
    fused = fused_files(tmp_path, 13 if changed == "samples" else 12)
    assert upload_into(tmp_path, fused, ("S2", "DEM") if changed == "modalities" else ("S2",)).is_new


@pytest.mark.parametrize("name", ["biomass.zip", "biomass.yaml"])
def test_files_of_somebody_else_are_not_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(BuildError, match=re.escape(f"{name} was written by another program")):
        upload_into(tmp_path, fused_files(tmp_path))
    assert (tmp_path / name).read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {name, "train_dataset.h5", "test_dataset.h5"}


def test_a_killed_build_leaves_no_half_archive_once_it_ran_again(tmp_path: Path) -> None:
    fused = fused_files(tmp_path / "fused")
    with atomic_write(tmp_path / "biomass.zip") as temporary:
        # What a killed process leaves: nothing runs after the kill.
        temporary.write_bytes(b"half")
        left = temporary.with_name(temporary.name.replace(".part", "0.part"))
        left.write_bytes(b"half")
    (tmp_path / "biomass.zip").unlink()
    upload_into(tmp_path, fused)
    assert {path.name for path in tmp_path.iterdir()} == {"fused", "biomass.zip", "biomass.yaml"}


def test_memory_holds_some_samples_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fused = fused_files(tmp_path, train=12)
    whole = upload_into(tmp_path / "whole", fused).archive.read_bytes()
    monkeypatch.setattr(training_rasters, "SAMPLES_AT_ONCE", 5)
    assert upload_into(tmp_path / "parts", fused).archive.read_bytes() == whole


@pytest.mark.parametrize(
    ("splits", "named", "shares"),
    [
        (("train", "test"), {"test"}, {"train": 75, "test": 0, "validation": 25}),
        (("train",), set(), {"train": 60, "test": 20, "validation": 20}),
        (("train", "val"), {"validation"}, {"train": 75, "test": 25, "validation": 0}),
        (
            ("training", "testing", "valid"),
            {"test", "validation"},
            {"train": 100, "test": 0, "validation": 0},
        ),
    ],
)
def test_splits_that_the_build_lacks_are_drawn_from_train(
    tmp_path: Path, splits: tuple[str, ...], named: set[str], shares: dict[str, float]
) -> None:
    days = {
        name: DateRange(start=f"{2000 + n}-01-01", end=f"{2000 + n}-12-31") for n, name in enumerate(splits)
    }
    recipe = Recipe(name="biomass", window_size=8, splits=days)
    fused = {}
    for seed, name in enumerate(splits):
        fused[name] = tmp_path / f"{name}.h5"
        write_dataset(fused[name], made_samples(2, f"{name}-0", seed, recipe), recipe, name)
    upload = write_gedi_upload(fused, recipe, ("S2",), tmp_path / "a.zip", tmp_path / "a.yaml")
    rule = UploadManifest.load(upload.manifest).splits
    assert rule.percentages.model_dump() == shares
    assert {split for split in SPLIT_FILES if getattr(rule, f"{split}_file")} == named
    with zipfile.ZipFile(upload.archive) as archive:
        assert {name for name in archive.namelist() if name.endswith(".txt")} == {
            f"splits/{split}.txt" for split in named
        }


@pytest.mark.parametrize("names", [("train", "near"), ("test",)])
def test_splits_that_no_dataset_has_are_told(names: tuple[str, ...]) -> None:
    days = {
        name: DateRange(start=f"{2000 + n}-01-01", end=f"{2000 + n}-12-31") for n, name in enumerate(names)
    }
    with pytest.raises(OnboardingError, match="it needs train, and may have test and validation") as caught:
        upload_splits(Recipe(splits=days))
    assert caught.value.code == "SPLIT_INVALID"


def test_without_a_training_sample_there_is_nothing_to_onboard(tmp_path: Path) -> None:
    with pytest.raises(OnboardingError, match="has no training sample"):
        upload_into(tmp_path, fused_files(tmp_path, train=0))
    assert not (tmp_path / "biomass.zip").exists()


def test_every_shot_keeps_its_split_when_the_dataset_grows(bench: Bench, tmp_path: Path) -> None:
    before = splits_of(onboard(bench, drop(bench, fused_files(tmp_path, train=12, test=4))))
    after = splits_of(onboard(bench, drop(bench, fused_files(tmp_path, train=32, test=9))))
    assert {shot: after[shot] for shot in before} == before
    counts = {split: list(after.values()).count(split) for split in SPLIT_FILES}
    assert counts == {"train": 24, "validation": 8, "test": 9}
    assert len([upload for upload in bench.uploads() if upload.name == "biomass"]) == 2


def test_the_sensor_onboards_it_and_the_same_samples_again_start_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    fused = fused_files(tmp_path)
    drop(bench, fused)
    result = bench.tick(bench.tick(None).cursor)
    [key] = requested(result)
    assert bench.run(key).success
    before = bytes_below(bench.home.datasets)
    # As if the inbox had been emptied, and the build run again.
    bench.home.dropped_archive("biomass").unlink()
    drop(bench, fused)
    assert not requested(bench.tick(bench.tick(result.cursor).cursor))
    assert [upload.key for upload in bench.uploads()] == [key]
    assert bytes_below(bench.home.datasets) == before


def test_terrain_and_land_cover_come_as_modalities_of_their_own(bench: Bench, tmp_path: Path) -> None:
    fused = fused_files(tmp_path)
    files = onboard(bench, drop(bench, fused, ("S2", "DEM", "LC")))
    data = yaml.safe_load(files.terratorch.read_text())["data"]["init_args"]
    assert data["modalities"] == ["S2", "DEM", "LC"]
    assert data["dataset_bands"]["DEM"] == ["altitude", "slope"]
    terrain, cover = rows_of(fused, "CopDEM"), rows_of(fused, "WorldCover")
    for row in pl.read_parquet(files.items).iter_rows(named=True):
        for modality, expected in (("DEM", terrain), ("LC", cover)):
            with rasterio.open(files.root / row[f"image_path_{modality}"]) as image:
                np.testing.assert_array_equal(image.read(), expected[row["original_name"]])
