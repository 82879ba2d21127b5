import pytest
import shapely

from factory_pipeline.datalake.ingest.clip_shapes import lines, polygons, rectangle

IMAGE = (10, 8)


@pytest.mark.parametrize(
    ("bbox", "cut"),
    [
        ((1, 2, 3, 4), [1, 2, 3, 4]),
        ((-2, -2, 5, 5), [0, 0, 3, 3]),
        ((8, 6, 5, 5), [8, 6, 2, 2]),
        ((10, 0, 5, 5), None),
        ((1, 1, 0, 5), None),
    ],
)
def test_a_rectangle_is_cut_at_the_edges(bbox: tuple[float, ...], cut: list[float] | None) -> None:
    assert [row["bbox"] for row in rectangle(bbox, IMAGE)] == ([] if cut is None else [cut])


def test_a_polygon_in_two_parts_is_two_rows() -> None:
    comb = shapely.Polygon([(8, 1), (12, 1), (12, 7), (8, 7), (8, 5), (11, 5), (11, 3), (8, 3)])
    rows = polygons(comb, IMAGE)
    assert sorted(row["bbox"] for row in rows) == [[8, 1, 2, 2], [8, 5, 2, 2]]
    assert all(row["rings"][0][0] != row["rings"][0][-1] for row in rows)


def test_holes_stay_and_a_polygon_that_crosses_itself_is_mended() -> None:
    holed = shapely.box(1, 1, 5, 5).difference(shapely.box(2, 2, 3, 3))
    assert [len(row["rings"]) for row in polygons(holed, IMAGE)] == [2]
    bow = shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)])
    assert len(polygons(bow, IMAGE)) == 2


def test_what_only_touches_the_image_is_left_out() -> None:
    assert polygons(shapely.box(10, 0, 12, 5), IMAGE) == []
    assert lines(shapely.LineString([(10, 8), (12, 9)]), IMAGE) == []


def test_a_line_that_leaves_and_comes_back_is_two() -> None:
    rows = lines(shapely.LineString([(8, 1), (12, 1), (12, 5), (8, 5)]), IMAGE)
    assert sorted(row["bbox"] for row in rows) == [[8, 1, 2, 0], [8, 5, 2, 0]]
