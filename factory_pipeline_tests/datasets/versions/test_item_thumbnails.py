"""Images of several uploads that show the same are in one split of a version."""

import numpy as np
import polars as pl
import pytest

from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datasets.versions.assign_splits import SplitPlan
from factory_pipeline.datasets.versions.plan import plan_version
from factory_pipeline.splits.near_identical import thumbnail
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, request
from factory_pipeline_tests.splits.pictures import as_jpeg, scene

SCENES = 12
SHARES = {"train": 60.0, "test": 20.0, "validation": 20.0}


def add_thumbnails(lake: MadeLake, collection: Collection, images: dict[str, np.ndarray]) -> None:
    """What an upload has of its images."""
    table = pl.DataFrame(
        [(item, thumbnail(pixels).tobytes()) for item, pixels in images.items()],
        schema={"id": pl.String, "thumbnail": pl.Binary},
        orient="row",
    )
    table.write_parquet(lake.home.collection(collection.name, collection.content_hash).thumbnails)


@pytest.fixture
def two_uploads(lake: MadeLake) -> MadeLake:
    """Twelve scenes, the same as JPEG at other places, and one collection without thumbnails."""
    first = lake.add("first", {f"a{number}": number for number in range(SCENES)})
    second = lake.add("second", {f"b{number}": 100 + number for number in range(SCENES)})
    lake.annotate(lake.add("third", {"c": 1000}), [box("c", "Balloon")])
    scenes = [scene(number, 96) for number in range(SCENES)]
    add_thumbnails(lake, first, {f"a{number}": pixels for number, pixels in enumerate(scenes)})
    add_thumbnails(lake, second, {f"b{number}": as_jpeg(pixels) for number, pixels in enumerate(scenes)})
    return lake


def planned(lake: MadeLake, **asked: object) -> tuple[dict[str, str], SplitPlan]:
    with plan_version(lake.registry, lake.home, request(split_info=SHARES, labels=(), **asked)) as plan:
        return dict(plan.items.select("id", "split").iter_rows()), plan.splits


def test_copies_in_another_upload_are_in_the_split_of_the_original(two_uploads: MadeLake) -> None:
    lake = two_uploads
    split, plan = planned(lake)
    assert all(split[f"a{number}"] == split[f"b{number}"] for number in range(SCENES))
    assert set(split.values()) == set(SHARES)
    record = plan.record()
    assert (record.promises_zero, record.leaks.leaks) == (True, False)
    assert (record.leaks.copies, record.leaks.compared) == (SCENES, 2 * SCENES)
    assert record.groups == SCENES + 1
    assert any("whether 1 of 25 items, whose pixels were not compared" in said for said in record.sentences)


def test_copies_that_are_ignored_are_said_to_leak(two_uploads: MadeLake) -> None:
    lake = two_uploads
    split, plan = planned(lake, overlap="ignore")
    apart = sum(split[f"a{number}"] != split[f"b{number}"] for number in range(SCENES))
    record = plan.record()
    assert record.leaks.crossing_pairs == apart > 0
    assert set(record.leaks.crossing["reason"]) == {"copy"}


def test_without_thumbnails_it_is_said_that_no_pixels_were_compared(lake: MadeLake) -> None:
    lake.annotate(lake.add("only", {f"a{number}": number for number in range(5)}), [box("a0", "Balloon")])
    _, plan = planned(lake)
    record = plan.record()
    assert (record.leaks.copies, record.leaks.compared) == (None, 0)
    assert "Not checked: whether other files show the same content" in record.sentences[-1]
