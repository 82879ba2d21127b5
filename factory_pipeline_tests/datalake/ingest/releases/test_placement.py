"""Where an image is: by its own georeferencing, or by the outline in its label file."""

import numpy as np
import pytest
from affine import Affine

from factory_pipeline.datalake.ingest.releases.georeference import Georeference
from factory_pipeline.datalake.ingest.releases.label_file import Ring
from factory_pipeline.datalake.ingest.releases.placement import PlacedBy, place
from factory_pipeline.datalake.ingest.releases.problems import LabelFileError

WIDTH, HEIGHT = 20, 16
SIZE = WIDTH, HEIGHT
CORNERS = ((0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT))
UTM = Affine(10, 0, 500_000, 0, -10, 5_500_000)
NORTH_UP = Affine(0.001, 0, 20, 0, -0.001, 50)


def ring_of(transform: Affine) -> Ring:
    return tuple(transform @ corner for corner in CORNERS)


def outline_of(crs: str, transform: Affine) -> Ring:
    """The outline of an image as a label file has it, in degrees."""
    corners = Georeference(crs, tuple(transform)[:6], WIDTH, HEIGHT).corners()
    return tuple((x, y) for x, y in corners.tolist())


@pytest.mark.parametrize("turn", [0, 10, -30, 44, -44])
@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("order", [1, -1])
def test_four_corners_give_the_transform_of_a_plain_tiff(turn: float, first: int, order: int) -> None:
    """Whichever corner is the first, and whichever way round."""
    transform = Affine.translation(20, 50) @ Affine.rotation(turn) @ Affine.scale(0.001, -0.001)
    ring = ring_of(transform)
    found = place((ring[first:] + ring[:first])[::order], SIZE, None, None)
    assert (found.by, found.conflict) == (PlacedBy.CORNERS, None)
    assert found.georeference is not None
    assert found.georeference.crs == "EPSG:4326"
    np.testing.assert_allclose(found.georeference.transform, tuple(transform)[:6], atol=1e-12)


def test_a_straight_outline_gives_its_own_numbers() -> None:
    found = place(ring_of(NORTH_UP), SIZE, None, None).georeference
    assert found is not None
    west, north = found.transform[2], found.transform[5]
    assert (west, north) == (20, 50)


@pytest.mark.parametrize(
    "ring",
    [
        ((20.0, 50.0), (20.02, 50.0), (20.02, 49.984), (20.004, 49.984), (20.0, 49.987)),
        # Four corners of no parallelogram.
        ((20.0, 50.0), (20.02, 50.0), (20.02, 49.984), (20.005, 49.988)),
        ((20.0, 49.984), (20.01, 50.0), (20.02, 49.984)),
    ],
)
def test_any_other_ring_gives_its_bounds_north_up(ring: Ring) -> None:
    found = place(ring, SIZE, None, None)
    assert found.by is PlacedBy.BOUNDS
    assert found.georeference is not None
    np.testing.assert_allclose(found.georeference.transform, tuple(NORTH_UP)[:6], atol=1e-12)


def test_an_outline_across_180_degrees_is_as_wide_as_the_image() -> None:
    ring = ((179.99, 10.0), (-179.99, 10.0), (-179.99, 9.984), (179.99, 9.984))
    found = place(ring, SIZE, None, None).georeference
    assert found is not None
    np.testing.assert_allclose(found.transform, (0.001, 0, 179.99, 0, -0.001, 10), atol=1e-12)


@pytest.mark.parametrize("crs", ["EPSG:32634", "EPSG:3035"])
@pytest.mark.parametrize("off", [0.0, 0.9])
def test_a_geotiff_that_agrees_within_a_pixel_keeps_its_own(crs: str, off: float) -> None:
    outline = outline_of(crs, UTM @ Affine.translation(off, 0))
    found = place(outline, SIZE, crs, tuple(UTM)[:6])
    assert (found.by, found.conflict) == (PlacedBy.GEOTIFF, None)
    assert found.georeference == Georeference(crs, tuple(UTM)[:6], *SIZE)


def test_a_geotiff_that_disagrees_is_placed_by_the_outline_and_the_conflict_is_told() -> None:
    found = place(
        outline_of("EPSG:32634", UTM @ Affine.translation(1.2, 0)), SIZE, "EPSG:32634", tuple(UTM)[:6]
    )
    assert found.by is PlacedBy.CORNERS
    assert found.georeference is not None
    assert found.georeference.crs == "EPSG:4326"
    assert found.conflict == (
        "is georeferenced 1.2 pixels from the outline in its label file; the outline is taken"
    )


def test_an_outline_on_the_other_side_of_the_earth_is_far() -> None:
    ring: Ring = ((-160.0, -50.0), (-159.98, -50.0), (-159.98, -50.016), (-160.0, -50.016))
    found = place(ring, SIZE, "EPSG:32634", tuple(UTM)[:6])
    assert found.by is PlacedBy.CORNERS
    assert found.conflict is not None
    assert "from the outline in its label file; the outline is taken" in found.conflict


def test_without_an_outline_there_is_no_place() -> None:
    found = place(None, SIZE, "EPSG:32634", tuple(UTM)[:6])
    assert (found.by, found.georeference) == (PlacedBy.NOTHING, None)
    assert found.conflict is not None
    assert "its label file has no outline" in found.conflict
    plain = place(None, SIZE, None, tuple(Affine.scale(2))[:6])
    assert (plain.by, plain.conflict, plain.transform) == (PlacedBy.NOTHING, None, tuple(Affine.scale(2))[:6])


@pytest.mark.parametrize("ring", [((1.0, 1.0), (2.0, 1.0), (3.0, 1.0)), ((1.0, 1.0), (1.0, 2.0), (1.0, 3.0))])
def test_an_outline_without_area_is_refused(ring: Ring) -> None:
    with pytest.raises(LabelFileError, match="has an outline without area"):
        place(ring, SIZE, None, None)
