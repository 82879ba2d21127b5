"""Each check passes on right samples and names the shot of a wrong one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.schema import TABLE_SCHEMA, Samples
from factory_pipeline.hdf5.verify import CONTENT_CHECKS, check_dataset
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline_tests.hdf5.factories import made_samples

WRONG = 3
"""The sample that is made wrong."""


@pytest.fixture(scope="module")
def few() -> Samples:
    return made_samples(5)


def test_right_samples_pass_every_check(written: Path) -> None:
    findings = check_dataset(written)
    assert len(findings) == 1 + len(CONTENT_CHECKS)
    assert [finding for finding in findings if not finding.passed] == []


def test_an_empty_file_passes_every_check(tmp_path: Path) -> None:
    write_dataset(tmp_path / "empty.h5", Samples.empty(11, 32), Recipe(), "train")
    assert all(finding.passed for finding in check_dataset(tmp_path / "empty.h5"))


def raster(name: str, place: tuple[int, ...], value: float) -> Callable[[Samples], Samples]:
    """Set one pixel of the wrong sample."""

    def change(samples: Samples) -> Samples:
        values = getattr(samples, name).copy()
        values[(WRONG, *place)] = value
        return replace(samples, **{name: values})

    return change


def column(name: str, value: object) -> Callable[[Samples], Samples]:
    """Set one value in the table of the wrong sample."""

    def change(samples: Samples) -> Samples:
        values = samples.table[name].to_list()
        values[WRONG] = value
        return replace(
            samples, table=samples.table.with_columns(pl.Series(name, values, dtype=TABLE_SCHEMA[name]))
        )

    return change


def shifted_by_a_pixel(samples: Samples) -> Samples:
    transform = samples.table["transform"].to_list()[WRONG]
    return column("transform", [*transform[:2], transform[2] + 10, *transform[3:]])(samples)


def without_label(samples: Samples) -> Samples:
    label = samples.label.copy()
    label[WRONG] = -9999
    return replace(samples, label=label)


@pytest.mark.parametrize(
    ("check", "make_wrong"),
    [
        ("scene_classes", raster("sentinel2", (0, 31, 31), 12)),
        ("land_cover", raster("worldcover", (0, 0, 0), 33)),
        ("terrain", raster("copdem", (0, 5, 5), 9001)),
        ("terrain", raster("copdem", (0, 5, 5), np.nan)),
        ("terrain", raster("copdem", (1, 5, 5), -0.1)),
        ("terrain", raster("copdem", (1, 5, 5), np.inf)),
        ("label_raster", raster("label", (0, 16, 16), 1e6)),
        ("label_raster", without_label),
        ("footprint_in_window", shifted_by_a_pixel),
        ("footprint_in_window", column("latitude", 12.5)),
        ("biomass", column("agbd_se", float("nan"))),
    ],
)
def test_a_wrong_sample_fails_its_check_by_name(
    check: str, make_wrong: Callable[[Samples], Samples], few: Samples, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "batch.h5", make_wrong(few), Recipe(), "train")
    failed = [finding for finding in check_dataset(tmp_path / "batch.h5") if not finding.passed]
    assert [finding.name for finding in failed] == [check]
    assert failed[0].detail.startswith("1 of 5 ")
    assert failed[0].detail.endswith(f"shots {few.table['shot_number'][WRONG]}.")


def test_negative_biomass_contradicts_the_label_too(samples: Samples, tmp_path: Path) -> None:
    write_dataset(tmp_path / "batch.h5", column("agbd", -1.0)(samples), Recipe(), "train")
    failed = [finding.name for finding in check_dataset(tmp_path / "batch.h5") if not finding.passed]
    assert failed == ["biomass", "label_raster"]


def test_a_shot_that_is_there_twice_is_named(samples: Samples, tmp_path: Path) -> None:
    first = samples.table["shot_number"][0]
    write_dataset(tmp_path / "batch.h5", column("shot_number", first)(samples), Recipe(), "train")
    failed = [finding for finding in check_dataset(tmp_path / "batch.h5") if not finding.passed]
    assert [(finding.name, finding.detail) for finding in failed] == [
        ("unique_shots", f"1 shot occurs more than once: {first}.")
    ]


def test_a_wrong_schema_is_the_only_finding(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "batch.h5"
    path.write_bytes(written.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["data/CRS"]
        file["data/NDVI"] = np.zeros(12)
    (finding,) = check_dataset(path)
    assert not finding.passed
    assert finding.detail == "data/NDVI is unknown; data/CRS is missing."


def test_many_wrong_samples_are_counted(tmp_path: Path) -> None:
    samples = made_samples(8)
    write_dataset(
        tmp_path / "batch.h5",
        replace(samples, worldcover=samples.worldcover + np.uint8(1)),
        Recipe(),
        "train",
    )
    failed = [finding for finding in check_dataset(tmp_path / "batch.h5") if not finding.passed]
    assert "8 of 8 samples" in failed[0].detail
    assert failed[0].detail.endswith("and 3 more.")
