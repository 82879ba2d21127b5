"""Images of several uploads that show the same are in one split of a version."""

import numpy as np
import polars as pl
import pytest
import rasterio
from affine import Affine

from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA
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


def add_pictures(lake: MadeLake, name: str, ending: str, pictures: list[np.ndarray], size: int) -> None:
    """Files of a collection without thumbnails, as those of a release; PNG files are placed nowhere."""
    folder = lake.home.root / "media" / name
    folder.mkdir(parents=True)
    rows = []
    for number, pixels in enumerate(pictures):
        affine = Affine(10, 0, 5e5 + 5000 * number, 0, -10, 5e6)
        profile = {"driver": "PNG"}
        if ending == "tif":
            profile = {"driver": "GTiff", "crs": "EPSG:32633", "transform": affine}
        shape = {"count": 3, "height": size, "width": size, "dtype": pixels.dtype}
        with rasterio.open(folder / f"{number}.{ending}", "w", **profile, **shape) as file:
            file.write(pixels)
        medium = dict.fromkeys(("member", "row", "sha256", "nodata")) | {
            "modality": "image", "path": f"media/{name}/{number}.{ending}", "bands": ["R", "G", "B"],
            "rgb": [0, 1, 2], "dtype": pixels.dtype.name,
        }  # fmt: skip
        row = {"id": f"{name}{number}", "width": size, "height": size, "media": [medium]}
        if ending == "tif":
            row |= {"proj:code": "EPSG:32633", "proj:transform": [*affine][:6]}
        rows.append(row)
    lake.annotate(lake.register(name, pl.DataFrame(rows, schema=ITEM_SCHEMA)), [box(f"{name}0", "Balloon")])


def test_copies_are_found_in_collections_whose_pixels_nobody_has_looked_at(lake: MadeLake) -> None:
    scenes = [scene(number, 96) for number in range(SCENES)]
    add_pictures(lake, "a", "tif", scenes, 96)
    add_pictures(lake, "b", "png", [np.roll(as_jpeg(pixels), 2, axis=2) for pixels in scenes], 96)
    split, plan = planned(lake)
    assert all(split[f"a{number}"] == split[f"b{number}"] for number in range(SCENES))
    record = plan.record()
    assert (record.leaks.copies, record.leaks.compared, record.leaks.leaks) == (SCENES, 2 * SCENES, False)
    (lake.home.root / "media/b/3.png").unlink()
    assert planned(lake)[1].record().leaks.compared == 2 * SCENES - 1
    asked = request(split_info=SHARES, labels=())
    with plan_version(lake.registry, lake.home, asked, reads_pixels=False) as unread:
        assert unread.splits.record().leaks.copies is None


def test_small_images_are_not_compared(lake: MadeLake) -> None:
    add_pictures(lake, "a", "png", [as_jpeg(scene(number % 5, 12)) for number in range(8)], 12)
    assert planned(lake)[1].record().leaks.compared == 0


def test_windows_at_known_places_must_be_more_alike(lake: MadeLake) -> None:
    """Windows that are alike by 0.97 are not one at different places, but placed nowhere one may be any."""
    rng = np.random.default_rng(0)
    base = np.repeat(scene(7, 64)[:1], 3, axis=0)
    noisy = [(base + rng.normal(0, 300, base.shape) + 1000).clip(0).astype(np.uint16) for _ in range(4)]
    add_pictures(lake, "a", "tif", noisy, 64)
    assert planned(lake)[1].record().leaks.copies == 0
    add_pictures(lake, "b", "png", [noisy[0] + 1], 64)
    assert planned(lake)[1].record().leaks.copies == 4
