"""The start page lists every dataset, finds the one that is wanted, and stays small with a thousand."""

import os
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import yaml
from PIL import Image

from factory_pipeline.builds.dataset_summary import DatasetBuildSummary
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.datalake.ingest.from_recipe import collect_recipe
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.schema import uploads as table
from factory_pipeline.storage.atomic import file_lock
from factory_pipeline.web.studio.catalog import CARDS_PER_PAGE, title_of
from factory_pipeline.web.studio.context import Studio
from factory_pipeline_tests.hdf5.recipe_factories import label_times, recipe_of, write_fused
from factory_pipeline_tests.web.studio.visitor import Visitor, text_of

LARGEST_PAGE = 300_000
"""Bytes of a page before pictures."""


def register(studio: Studio, count: int) -> None:
    """Enter uploads as a long-lived factory has them, in one statement."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    statuses = [UploadStatus.SUCCEEDED, UploadStatus.FAILED, UploadStatus.PENDING]
    rows = [
        {
            "key": f"set-{number}@{number:08x}",
            "name": f"set-{number}",
            "manifest": yaml.safe_dump({"purpose": "Generic", "dataset_name": f"Set {number}"}),
            "status": statuses[number % 3],
            "reason": "No label." if number % 3 == 1 else None,
            "code": "UNPAIRED" if number % 3 == 1 else None,
            "created": start,
            "updated": start + timedelta(minutes=number),
        }
        for number in range(count)
    ]
    with studio.registry._change() as connection:
        connection.execute(table.insert(), rows)


def titles(page: str) -> list[str]:
    return re.findall(r'<h2><a href="[^"]*">([^<]*)</a></h2>', page)


def test_an_empty_factory_says_how_to_begin(visitor: Visitor) -> None:
    page = visitor.page("/")
    assert "No dataset yet" in page
    assert 'href="/add"' in page
    assert "factory new-recipe" in page


def test_a_thousand_datasets_are_paged_on_the_server(studio: Studio, visitor: Visitor) -> None:
    register(studio, 1000)
    page = visitor.page("/")
    assert titles(page) == [f"Set {999 - number}" for number in range(CARDS_PER_PAGE)]
    assert "1,000 of 1,000 datasets, page 1 of 42" in text_of(page)
    assert len(page.encode()) < LARGEST_PAGE
    second = re.search(r'rel="next" href="([^"]+)"', page)
    assert second is not None
    following = visitor.page(second[1].replace("&amp;", "&"))
    assert titles(following)[0] == f"Set {999 - CARDS_PER_PAGE}"
    assert titles(visitor.page("/?page=9999"))[-1] == "Set 0"
    assert titles(visitor.page("/?page=nonsense")) == titles(page)


def test_datasets_are_found_by_name_kind_and_status(studio: Studio, visitor: Visitor) -> None:
    register(studio, 40)
    assert titles(visitor.page("/?q=SET 3&status=Failed")) == [
        "Set 37",
        "Set 34",
        "Set 31",
        "Set 19",
        "Set 13",
    ]
    assert titles(visitor.page("/?q=0000001f")) == ["Set 31"]
    assert "No dataset fits" in visitor.page("/?q=rivers")
    assert "No dataset fits" in visitor.page("/?kind=Build")
    failed = text_of(visitor.page("/?q=37"))
    assert "No label. UNPAIRED" in failed


def test_a_release_that_is_not_a_collection_yet_is_an_import(studio: Studio, visitor: Visitor) -> None:
    register(studio, 3)
    key = "roads@00000001"
    studio.registry.register_upload(key, yaml.safe_dump({"release": "roads.tar.gz"}))
    assert titles(visitor.page("/?kind=Import")) == ["roads"]
    assert "Waiting to start" in text_of(visitor.page("/?kind=Import"))
    studio.registry.set_status(key, UploadStatus.ONBOARDING)
    assert "Importing" in text_of(visitor.page("/?kind=Import"))
    studio.registry.set_status(key, UploadStatus.FAILED, reason="No label.", code="UNPAIRED")
    assert "No label. UNPAIRED" in text_of(visitor.page("/?kind=Import"))
    assert len(titles(visitor.page("/?kind=Upload"))) == 3


RECIPE = """
name: crops
labels: {kind: points, path: fields.csv, target: {column: crop, classes: {1: Maize, 2: Wheat}}}
window: {size: 8, pixel_size: 10}
sources:
  s2: {collection: sentinel-2-l2a, assets: [B04, B03, B02], time: {between: [2021-06-01, 2021-06-30]}}
"""


def test_builds_of_recipes_have_a_card_with_a_sample(
    studio: Studio, visitor: Visitor, tmp_path: Path
) -> None:
    recipe = recipe_of(RECIPE)
    settings = DatasetSettings(recipe=recipe, output=tmp_path / "crops")
    settings.save(studio.home)
    page = visitor.page("/?kind=Build")
    assert titles(page) == ["crops"]
    assert "Onboarding Build Building" in text_of(page)
    hour_ago = time.time() - 3600
    os.utime(studio.home.dataset_build("crops"), (hour_ago, hour_ago))
    assert "Not finished and not at work" in text_of(visitor.page("/?kind=Build"))
    with file_lock(studio.home.run_lock("run")):
        assert "Onboarding Build Building" in text_of(visitor.page("/?kind=Build"))
    with studio.registry.shown_alive("run"):
        assert "Onboarding Build Building" in text_of(visitor.page("/?kind=Build"))

    DatasetBuildSummary("crops", 2, {}, {"train": 2, "test": 0}, 1, {}, {}, []).save(settings.files.summary)
    train = settings.files.fused("train")
    write_fused(train, recipe, ["a", "b"], [1, 2])
    collection = collect_recipe(studio.registry, studio.home, recipe, [train], label_times(["a", "b"]))
    page = visitor.page("/?kind=Build&status=Succeeded")
    assert "2 train · 0 test" in text_of(page)
    assert 'href="/builds/recipes/crops"' in page
    picture = f"/pictures/collections/{collection.id}.webp"
    assert f'src="{picture}"' in page
    with Image.open(BytesIO(visitor.get(picture).content)) as drawn:
        assert drawn.size == (360, 360)
    visitor.page("/pictures/collections/none.webp", 404)

    settings.files.summary.write_text("{")
    assert "Failed Build" in text_of(visitor.page("/?kind=Build"))


def test_the_page_that_asks_again_gets_only_what_changed(studio: Studio, visitor: Visitor) -> None:
    register(studio, 3)
    again = re.search(r'hx-get="([^"]+)"', visitor.page("/"))
    assert again is not None
    address = again[1].replace("&amp;", "&")
    assert visitor.get(address).status_code == 204
    studio.registry.set_status("set-2@00000002", UploadStatus.ONBOARDING)
    changed = visitor.get(address)
    assert changed.status_code == 200
    assert changed.text.startswith('<div id="cards"')
    assert "Onboarding" in changed.text


def test_names_with_markup_are_text(studio: Studio, visitor: Visitor) -> None:
    name = '<img src=x onerror=alert(1)> "quoted" & {{ 7*7 }}'
    studio.registry.register_upload("evil@00000001", yaml.safe_dump({"dataset_name": name}))
    page = visitor.page(f"/?q={'%22quoted%22'}")
    assert name in text_of(page)
    assert "<img src=x" not in page
    assert "49" not in titles(page)[0]


def test_the_title_is_the_name_of_the_manifest() -> None:
    long = "A name of many words that YAML breaks into several lines because it is longer than eighty signs"
    for name in (long, "Flüsse: weiß", "123", "'a' # b", "null"):
        document = {"purpose": "Generic", "dataset_name": name, "label_categories": [{"name": "Water"}]}
        for unicode in (True, False):
            manifest = yaml.safe_dump(document, sort_keys=False, allow_unicode=unicode)
            assert title_of(manifest, "folder") == name
    assert title_of("manifest: x.yaml\n", "folder") == "folder"


def test_the_link_to_dagster_has_the_name_that_the_browser_used(studio: Studio) -> None:
    visitor = Visitor(replace(studio, runs_url="http://127.0.0.1:3000"))
    assert 'href="http://127.0.0.1:3000"' in visitor.page("/")
    assert 'href="http://localhost:3000"' in visitor.get("/", headers={"Host": "localhost:3001"}).text
