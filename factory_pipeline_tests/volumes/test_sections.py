"""What is cut from one section: its field without the translation, its image normalised and masked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.sections import NO_PIXEL, NO_REFERENCE_PIXEL, read_field, read_image
from factory_pipeline.volumes.sources import Sources, open_sources
from factory_pipeline.volumes.spec import PairSpec
from factory_pipeline.volumes.volume import VolumeReader
from factory_pipeline_tests.volumes.factories import spec_of, write_volume

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

BOX = Box(0, 0, 0, 16, 16)


def sources(
    folder: Path,
    image: NDArray[Any],
    mask: NDArray[Any] | None = None,
    field: NDArray[Any] | None = None,
    **of_image: Any,
) -> Sources:
    """Volumes of one section."""
    path = write_volume(folder / "image", {0: image[..., None]})
    changes: dict[str, Any] = {"image": {"path": path, "src_mip": 0, **of_image}}
    if "reference" in of_image:
        changes["image"]["reference"] = {"path": path, "src_mip": 0, "dst_mip": 0, **of_image["reference"]}
    if mask is not None:
        masked = write_volume(folder / "mask", {0: mask[..., None]})
        changes["masks"] = [{"path": masked, "src_mip": 0, "threshold": 100}]
    if field is not None:
        vectors = write_volume(folder / "field", {0: field[:, :, None]})
        changes["field"] = {"path": vectors, "src_mip": 0}
    return open_sources(PairSpec.model_validate(spec_of(path, **changes)), VolumeReader())


@pytest.fixture
def image() -> NDArray[np.uint8]:
    made = np.random.default_rng(0).integers(1, 255, (16, 16), np.uint8)
    made[2, 3:6] = 0
    return made


def test_valid_pixels_have_mean_0_and_variance_1_and_the_others_are_0(
    image: NDArray[np.uint8], tmp_path: Path
) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[8:] = 200
    found = read_image(sources(tmp_path, image, mask), BOX, 0)
    valid = (mask < 100) & (image > 0)
    assert found.pixels[valid].mean() == pytest.approx(0, abs=1e-5)
    assert found.pixels[valid].var(ddof=1) == pytest.approx(1, rel=1e-5)
    assert not found.pixels[~valid].any()
    assert (found.masked, found.black, found.fault) == (0.5, 3 / 256, None)


def test_without_normalisation_pixels_stay_as_they_are(image: NDArray[np.uint8], tmp_path: Path) -> None:
    found = read_image(sources(tmp_path, image), BOX, 0, normalise=False)
    np.testing.assert_array_equal(found.pixels, image.astype(np.float32))


def test_one_value_is_only_moved_and_none_at_all_is_a_fault(tmp_path: Path) -> None:
    flat = read_image(sources(tmp_path / "a", np.full((16, 16), 7, np.uint8)), BOX, 0)
    assert (flat.fault, float(np.abs(flat.pixels).max())) == (None, 0.0)
    black = read_image(sources(tmp_path / "b", np.zeros((16, 16), np.uint8)), BOX, 0)
    assert (black.fault, black.black) == (NO_PIXEL, 1.0)


def test_a_reference_box_decides_mean_and_deviation(image: NDArray[np.uint8], tmp_path: Path) -> None:
    reference = {"x_size": 8, "y_size": 8}
    found = read_image(sources(tmp_path / "a", image, reference=reference), BOX, 0)
    middle = image[4:12, 4:12].astype(np.float64)
    counted = middle[middle != 0]
    expected = (image - counted.mean()) / counted.std(ddof=1)
    np.testing.assert_allclose(found.pixels, np.where(image == 0, 0, expected), rtol=1e-4, atol=1e-5)
    image[4:12, 4:12] = 0
    without = read_image(sources(tmp_path / "b", image, reference=reference), BOX, 0)
    assert without.fault == NO_REFERENCE_PIXEL


def test_the_field_loses_the_whole_pixels_of_its_mean(image: NDArray[np.uint8], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    field = rng.normal(0, 0.01, (16, 16, 2)).astype(np.float32) + np.array([2.5, -3.5], np.float32)
    field[1, 2] = np.nan
    found = read_field(sources(tmp_path, image, field=field), BOX)
    assert found is not None
    assert found.moved == (-4, 2), "channel 1 is along x, channel 0 along y"
    expected = np.nan_to_num(np.moveaxis(field, -1, 0) - np.array([2, -4])[:, None, None])
    np.testing.assert_allclose(found.residual, expected, atol=1e-6)
    assert found.missing == 1 / 256


def test_a_field_without_a_finite_vector_is_none(image: NDArray[np.uint8], tmp_path: Path) -> None:
    nothing = np.full((16, 16, 2), np.inf, np.float32)
    assert read_field(sources(tmp_path, image, field=nothing), BOX) is None
