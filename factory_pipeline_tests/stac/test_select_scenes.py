"""Which acquisitions are taken for a window and a step."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import shapely

from factory_pipeline.errors import RecipeError
from factory_pipeline.stac.items import UnusableItem
from factory_pipeline.stac.scene_search import Step
from factory_pipeline.stac.scenes import Scene
from factory_pipeline.stac.select_scenes import Choice, Preference, choose_scenes

BOX = np.array([[10.0, 45.0, 10.01, 45.01]])
JUNE = Step(*(datetime(2021, 6, day, tzinfo=UTC) for day in (1, 30)), datetime(2021, 6, 15, tzinfo=UTC))


def scene(name: str, day: int, box: tuple[float, ...] = (9, 44, 11, 46), **options: Any) -> Scene:
    time = datetime(2021, 6, 1, tzinfo=UTC) + timedelta(days=day - 1)
    outline = shapely.box(*box)
    given = {"cloud_cover": 0.0, "platform": "a", "grid": tuple(outline.bounds), "properties": {}} | options
    return Scene(id=name, start=time, end=time, time=time, outline=outline, assets={}, **given)


def choose(scenes: list[Scene], steps: tuple[Step, ...] = (JUNE,), **preference: Any) -> Choice:
    return choose_scenes(BOX, [32632], [steps], scenes, Preference(**preference))[0]


def ids(choice: Choice) -> list[list[str]]:
    return [[scene.id for taken in step for scene in taken.scenes] for step in choice.steps]


@pytest.mark.parametrize(
    ("select", "first"), [("nearest", "b"), ("newest", "c"), ("least_cloudy", "a"), ("all", "a")]
)
def test_the_preference_decides(select: str, first: str) -> None:
    scenes = [
        scene("a", 3, cloud_cover=1.0),
        scene("b", 14, cloud_cover=30.0),
        scene("c", 29, cloud_cover=9.0),
        scene("out", 45),
    ]
    assert ids(choose(scenes, select=select)) == [[first]]


def test_a_scene_that_shows_the_whole_window_comes_first() -> None:
    half = scene("half", 15, (9, 44, 10.005, 46))
    assert ids(choose([half, scene("whole", 2)])) == [["whole"]]
    assert not choose([half]).steps[0][0].covers


def test_scenes_of_one_pass_are_mosaicked_and_no_more_are_read_than_needed() -> None:
    west, east = scene("west", 15, (9, 44, 10.005, 46)), scene("east", 15, (10.005, 44, 11, 46))
    choice = choose([west, east])
    assert ids(choice) == [["east", "west"]]
    assert choice.steps[0][0].covers
    assert ids(choose([west, east, scene("both", 15, (9, 44, 12, 46))])) == [["both"]]


def test_of_several_processings_the_newest_counts() -> None:
    old = scene("old", 15, processed=datetime(2021, 6, 16, tzinfo=UTC))
    new = scene("new", 15, processed=datetime(2022, 6, 16, tzinfo=UTC))
    assert ids(choose([old, new], several=True, select="all")) == [["new"]]


def test_the_cloud_limit_holds_for_the_newest_processing() -> None:
    old = scene("old", 15, cloud_cover=10.0, processed=datetime(2021, 6, 16, tzinfo=UTC))
    new = scene("new", 15, cloud_cover=40.0, processed=datetime(2022, 6, 16, tzinfo=UTC))
    other = scene("other", 2, cloud_cover=20.0)
    untold = scene("untold", 16, cloud_cover=None)
    assert ids(choose([old, new, other, untold], max_cloud_cover=30.0)) == [["other"]]
    assert ids(choose([old, new, other], max_cloud_cover=50.0)) == [["new"]]
    # A scene that can't be used and is too cloudy anyway is not missed.
    lost = UnusableItem("lost", "no asset", None, 30.0, shapely.box(9, 44, 11, 46))
    for limit, missed in ((30.0, ()), (31.0, (lost,))):
        preference = Preference(max_cloud_cover=limit)
        (choice,) = choose_scenes(BOX, [32632], [(JUNE,)], [], preference, [lost])
        assert choice.missed == missed


def test_a_composite_takes_all_of_each_step() -> None:
    july = Step(datetime(2021, 7, 1, tzinfo=UTC), datetime(2021, 7, 30, tzinfo=UTC))
    scenes = [scene("b", 14), scene("a", 3), scene("july", 40)]
    assert ids(choose(scenes, (JUNE, july), several=True, select="all")) == [["a", "b"], ["july"]]


def test_a_condition_on_properties() -> None:
    scenes = [
        scene("up", 14, properties={"sat:orbit_state": "ascending"}),
        scene("down", 15, properties={"sat:orbit_state": "descending"}),
        scene("none", 15),
    ]
    condition = "\"sat:orbit_state\" = 'ascending'"
    assert ids(choose(scenes, where=condition)) == [["up"]]
    with pytest.raises(RecipeError, match="on items can't be used"):
        choose(scenes, where="orbit = 1")


def test_a_window_across_the_antimeridian() -> None:
    boxes = np.array([[179.99, 0.0, 180.01, 0.02]])
    west, east = scene("west", 15, (178, -1, 181, 1)), scene("far", 15, (-179.9, -1, -178, 1))
    (choice,) = choose_scenes(boxes, [32660], [(JUNE,)], [west, east], Preference())
    assert ids(choice) == [["west"]]


def test_items_that_might_have_been_taken_are_named() -> None:
    outline = shapely.box(9, 44, 11, 46)
    lost = UnusableItem("lost", "no asset B04", JUNE.centre, None, outline)
    elsewhere = UnusableItem("elsewhere", "no asset B04", JUNE.centre, None, shapely.box(0, 0, 1, 1))
    (none,) = choose_scenes(BOX, [32632], [(JUNE,)], [], Preference(), [lost, elsewhere])
    assert [item.id for item in none.missed] == ["lost"]
    (found,) = choose_scenes(BOX, [32632], [(JUNE,)], [scene("a", 15)], Preference(), [lost, elsewhere])
    assert not found.missed


def test_a_yearly_map_is_that_of_the_label_s_year() -> None:
    maps = [
        Scene(
            id=str(year),
            start=datetime(year, 1, 1, tzinfo=UTC),
            end=datetime(year, 12, 31, tzinfo=UTC),
            time=datetime(year, 1, 1, tzinfo=UTC),
            outline=shapely.box(9, 44, 11, 46),
            assets={},
            cloud_cover=None,
            grid=(0.0,),
            properties={},
        )
        for year in (2020, 2021)
    ]
    for label, year in (
        (datetime(2020, 11, 1, tzinfo=UTC), "2020"),
        (datetime(2023, 1, 1, tzinfo=UTC), "2021"),
    ):
        (choice,) = choose_scenes(BOX, [32632], [(Step(centre=label),)], maps, Preference())
        assert ids(choice) == [[year]]
