"""Training parameters against numpy over all pixels at once."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from factory_pipeline.errors import OnboardingError
from factory_pipeline.imagery import pixels
from factory_pipeline.imagery.band_statistics import PERCENTILES, band_statistics
from factory_pipeline.imagery.streaming_quantiles import Counts, Moments
from factory_pipeline.onboarding.manifest.model import Purpose
from factory_pipeline.onboarding.manifest.sections import LabelCategory
from factory_pipeline.onboarding.products.class_weights import MaskCounter
from factory_pipeline.onboarding.products.training_params import TrainingParameters, training_parameters
from factory_pipeline.splits.assign import random_split
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.onboarding.curated import onboarded, write_raster

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}
REALDATA = os.environ.get("FACTORY_REALDATA")


def _expect_as_numpy(found, values: np.ndarray) -> None:
    """All numbers of a band against numpy in float64."""
    exact = values.astype(np.float64)
    assert found.pixels == exact.size
    assert found.mean == pytest.approx(exact.mean(), rel=1e-9, abs=1e-9)
    assert found.std == pytest.approx(exact.std(), rel=1e-9, abs=1e-9)
    assert (found.minimum, found.maximum) == (exact.min(), exact.max())
    expected = dict(zip((f"p{p:g}" for p in PERCENTILES), np.percentile(exact, PERCENTILES), strict=True))
    assert found.percentiles == pytest.approx(expected, rel=1e-12, abs=1e-12)
    histogram = found.histogram
    assert sum(histogram.counts) + histogram.below + histogram.above == exact.size
    assert histogram.below + histogram.above <= 0.02 * exact.size + 1


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
def test_every_type_is_exact_over_all_files(tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(0)
    low = 0 if dtype[0] == "u" else -90
    images = [(rng.gamma(2, 20, (2, 40, 30)) + low).astype(dtype) for _ in range(5)]
    paths = [write_raster(tmp_path / f"{n}.tif", image) for n, image in enumerate(images)]
    found, empty = band_statistics(paths, "S2", ["a", "b"])
    assert not empty
    for band in range(2):
        _expect_as_numpy(found[band], np.concatenate([image[band].ravel() for image in images]))


def test_a_far_offset_does_not_lose_the_deviation(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(1e8, 1.0, (1, 64, 64))
    (found,), _ = band_statistics([write_raster(tmp_path / "a.tif", image)], "x", ["a"])
    assert found.std == pytest.approx(image.std(), rel=1e-6)


def test_no_data_and_nan_are_left_out_and_counted(tmp_path: Path) -> None:
    counts = np.arange(1, 101, dtype=np.uint16).reshape(1, 10, 10)
    counts[0, :3] = 7
    floats = np.linspace(-5, 5, 100, dtype=np.float32).reshape(1, 10, 10)
    floats[0, 0, :4] = [np.nan, np.inf, -np.inf, -9999]
    (whole,), _ = band_statistics([write_raster(tmp_path / "a.tif", counts, nodata=7)], "x", ["a"])
    (real,), _ = band_statistics([write_raster(tmp_path / "b.tif", floats, nodata=-9999)], "x", ["a"])
    assert whole.no_data == 30
    _expect_as_numpy(whole, counts[counts != 7])
    assert real.no_data == 4
    _expect_as_numpy(real, floats[0].ravel()[4:])


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_an_empty_band_is_reported_and_its_image_still_counts(tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(0)
    nothing = np.nan if dtype == "float32" else 0
    images = [rng.uniform(1, 900, (2, 16, 16)).astype(dtype) for _ in range(3)]
    images[1][0] = nothing
    for image in images:
        image[1] = image[1] if dtype == "float32" else np.maximum(image[1], 1)
    paths = [write_raster(tmp_path / f"{n}.tif", image, nodata=nothing) for n, image in enumerate(images)]
    found, empty = band_statistics(paths, "S1", ["VV", "VH"])
    assert [(gap.file, gap.band) for gap in empty] == [("1.tif", "VV")]
    _expect_as_numpy(found[0], np.concatenate([images[0][0].ravel(), images[2][0].ravel()]))
    _expect_as_numpy(found[1], np.concatenate([image[1].ravel() for image in images]))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_band_that_is_empty_everywhere_has_no_numbers(tmp_path: Path, dtype: str) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((1, 8, 8), dtype=dtype), nodata=0)
    (found,), empty = band_statistics([path], "x", ["a"])
    assert (found.pixels, found.no_data, found.mean, found.percentiles) == (0, 64, None, {})
    assert len(empty) == 1


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_neither_threads_nor_strips_change_a_bit(tmp_path: Path, dtype: str, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    paths = [
        write_raster(tmp_path / f"{n}.tif", rng.normal(500, 90, (3, 50, 37)).astype(dtype)) for n in range(7)
    ]
    alone = band_statistics(paths, "x", list("abc"), workers=1)
    assert band_statistics(paths, "x", list("abc"), workers=5) == alone
    monkeypatch.setattr(pixels, "VALUES_PER_STRIP", 3 * 37 * 4)
    in_strips = band_statistics(paths, "x", list("abc"), workers=3)
    for one, other in zip(in_strips[0], alone[0], strict=True):
        assert one.mean == pytest.approx(other.mean, rel=1e-12)
        assert one.std == pytest.approx(other.std, rel=1e-12)
        assert one.percentiles == other.percentiles
        assert one.histogram == other.histogram


def test_files_that_do_not_fit_the_others_are_named(tmp_path: Path) -> None:
    good = write_raster(tmp_path / "good.tif", np.zeros((2, 4, 4), dtype=np.uint8))
    narrow = write_raster(tmp_path / "narrow.tif", np.zeros((1, 4, 4), dtype=np.uint8))
    deep = write_raster(tmp_path / "deep.tif", np.zeros((2, 4, 4), dtype=np.uint16))
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0 nothing")
    for bad, message in [
        (narrow, "narrow.tif has 1 band, not 2"),
        (deep, "deep.tif has the data type uint16, not uint8"),
        (broken, "broken.tif can't be read"),
    ]:
        with pytest.raises(OnboardingError, match=message):
            band_statistics([good, bad], "x", ["a", "b"])


@given(
    parts=st.lists(
        hnp.arrays(np.float64, st.integers(0, 30), elements=st.floats(-1e6, 1e6, allow_subnormal=False)),
        min_size=1,
    )
)
@settings(max_examples=up_to(60), deadline=None)
def test_moments_of_parts_add_up(parts: list[np.ndarray]) -> None:
    total = Moments()
    for part in parts:
        total += Moments.of(part)
    together = np.concatenate(parts)
    assert total.count == together.size
    if together.size:
        assert total.mean == pytest.approx(together.mean(), rel=1e-9, abs=1e-6)
        assert total.std == pytest.approx(together.std(), rel=1e-6, abs=1e-4)


@given(hnp.arrays(np.int16, st.integers(1, 60)), hnp.arrays(np.int16, st.integers(0, 60)))
@settings(max_examples=up_to(40))
def test_counts_of_parts_add_up(one: np.ndarray, other: np.ndarray) -> None:
    total = Counts.of(one) + Counts.of(other)
    values, counts = np.unique(np.concatenate([one, other]), return_counts=True)
    present = np.flatnonzero(total.counts)
    assert (present + total.lowest).tolist() == values.tolist()
    assert total.counts[present].tolist() == counts.tolist()


def test_only_the_training_images_count(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 10, modalities=("S2", "S1"))
    split = random_split(curated.items, SHARES, 0)
    parameters = _parameters(curated, split)
    train = curated.items.join(split.filter(pl.col("split") == "train"), on="stem", how="semi")
    assert parameters.images == train.height == 6
    for number, tag in enumerate(("S2", "S1")):
        stack = np.ma.concatenate(
            [_masked(tmp_path / row[number]["path"]) for row in train["images"]], axis=1
        )
        for band, found in zip(stack, parameters.of(tag), strict=True):
            _expect_as_numpy(found, band.compressed())
    assert [band.band for band in parameters.of("S2")] == ["B02", "B03", "B04", "B8A"]


def test_class_counts_are_those_of_the_training_masks(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 10)
    split = random_split(curated.items, SHARES, 0)
    parameters = _parameters(curated, split)
    train = curated.items.join(split.filter(pl.col("split") == "train"), on="stem", how="semi")
    masks = [_masked(tmp_path / label)[0] for label in train["label"]]
    for known in parameters.classes:
        assert known.pixels == sum(int((mask == known.id).sum()) for mask in masks)
        assert known.images == sum(bool((mask == known.id).any()) for mask in masks)
    assert sum(known.share for known in parameters.classes) == pytest.approx(1)
    assert not parameters.unknown_values
    given_weight = parameters.classes[2]
    assert (given_weight.weight, given_weight.weight_given) == (0.5, True)


def test_weights_balance_the_classes() -> None:
    masks = [{0: 900, 1: 100}, {0: 50, 1: 30, 2: 20}, {7: 5}]
    categories = [LabelCategory(id=n, name=str(n), color="#000000") for n in range(4)]
    tally = MaskCounter(categories)
    for mask in masks:
        tally.add(mask)
    assert tally.unknown == {7: 5}
    inverse = tally.statistics("inverse")
    assert [known.weight * known.pixels for known in inverse[:3]] == pytest.approx([1100 / 3] * 3)
    assert inverse[3].weight == 1.0

    frequencies = [950 / 1100, 130 / 1100, 20 / 100]
    median = tally.statistics("median")
    assert [known.weight for known in median[:3]] == pytest.approx([0.2 / f for f in frequencies])


def test_values_without_a_category_are_reported(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 5)
    for label in curated.items["label"]:
        mask = np.full((1, 32, 32), 9, dtype=np.uint8)
        mask[0, :16] = 1
        write_raster(tmp_path / label, mask, nodata=255)
    parameters = _parameters(curated, random_split(curated.items, SHARES, 0))
    assert parameters.unknown_values == {9: 3 * 512}
    assert parameters.classes[1].pixels == 3 * 512


def test_masks_must_hold_whole_numbers(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 5)
    for label in curated.items["label"]:
        write_raster(tmp_path / label, np.full((1, 32, 32), 0.5, dtype=np.float32))
    with pytest.raises(OnboardingError, match="are not integers"):
        _parameters(curated, random_split(curated.items, SHARES, 0))


def test_a_regression_knows_its_label(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 6, purpose="Regression")
    split = random_split(curated.items, SHARES, 0)
    parameters = _parameters(curated, split)
    train = curated.items.join(split.filter(pl.col("split") == "train"), on="stem", how="semi")
    values = np.concatenate([_masked(tmp_path / label).compressed() for label in train["label"]])
    _expect_as_numpy(parameters.label, values)
    assert parameters.classes == ()


def test_parameters_are_read_back_as_written(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 5, modalities=("S2", "S1"))
    parameters = _parameters(curated, random_split(curated.items, SHARES, 0))
    path = tmp_path / "training_params.json"
    parameters.write(path)
    assert TrainingParameters.read(path) == parameters
    first = path.read_bytes()
    parameters.write(path)
    assert path.read_bytes() == first


def test_a_split_without_training_images_is_refused(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 2)
    split = pl.DataFrame({"stem": curated.items["stem"], "split": ["test", "test"]})
    with pytest.raises(OnboardingError, match="No image is in the training split"):
        _parameters(curated, split)


@pytest.mark.skipif(not REALDATA, reason="FACTORY_REALDATA names no folder of real data")
def test_real_images_against_numpy() -> None:
    folder = Path(str(REALDATA)) / "image_label_pairs" / "sen1floods11"
    for name, bands in (("S2Hand", 13), ("S1Hand", 2), ("LabelHand", 1)):
        (path,) = folder.glob(f"*_{name}.tif")
        found, _ = band_statistics([path], name, [f"b{n}" for n in range(bands)])
        for band, statistics in zip(_masked(path), found, strict=True):
            _expect_as_numpy(statistics, band.compressed())


def _parameters(curated, split: pl.DataFrame) -> TrainingParameters:
    return training_parameters(
        curated.items,
        split,
        curated.band_names,
        Purpose(curated.manifest.purpose),
        curated.manifest.label_categories,
        curated.root,
    )


def _masked(path: Path) -> np.ma.MaskedArray:
    with rasterio.open(path) as source:
        values = source.read(masked=True)
    return np.ma.masked_where(~np.isfinite(np.ma.getdata(values)) | np.ma.getmaskarray(values), values)
