"""Between the pixels of an image and degrees."""

import numpy as np
import pytest

from factory_pipeline.datalake.ingest.releases.georeference import Georeference

UTM = Georeference("EPSG:32633", (10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0), 100, 50)
FIJI = Georeference("EPSG:4326", (0.01, 0.0, 179.5, 0.0, -0.01, -17.0), 100, 50)


def test_the_corners_are_clockwise_from_the_upper_left() -> None:
    upper_left, upper_right, lower_right, lower_left = UTM.corners()
    # The zone's central meridian is the left edge.
    assert upper_left[0] == pytest.approx(15, abs=1e-9)
    assert upper_right[0] > upper_left[0]
    assert lower_right[1] < upper_right[1]
    assert lower_left[0] == pytest.approx(15, abs=1e-9)
    assert upper_left[1] == pytest.approx(45.15, abs=0.01)


def test_longitudes_pass_180_degrees_without_a_jump() -> None:
    assert FIJI.corners()[:, 0].tolist() == pytest.approx([179.5, 180.5, 180.5, 179.5])


def test_the_outline_is_closed() -> None:
    outline = UTM.outline()
    assert len(outline) == 5
    assert outline[0] == outline[-1]


@pytest.mark.parametrize("reference", [UTM, FIJI])
def test_pixels_come_back_from_degrees(reference: Georeference) -> None:
    points = np.array([[0.0, 0.0], [12.5, 7.25], [100.0, 50.0]])
    assert reference.to_pixels(reference.to_degrees(points)).tolist() == points.tolist()


def test_degrees_of_the_other_side_of_180_are_the_same_pixels() -> None:
    assert FIJI.to_pixels(np.array([[-179.5, -17.0], [180.5, -17.0]])).tolist() == [[100, 0], [100, 0]]


def test_points_that_the_crs_has_no_place_for_are_infinite() -> None:
    polar = Georeference("EPSG:3031", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), 10, 10)
    assert np.isinf(polar.to_pixels(np.array([[0.0, 95.0]]))).all()
