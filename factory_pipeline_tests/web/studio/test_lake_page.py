"""The data lake in the browser: from a query to a version, its exports and their download."""

import io
import re
import time
import zipfile
from collections import Counter
from html import unescape

import dagster as dg
import pytest

from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.errors import ArgumentError
from factory_pipeline.runs.instance import prepare_home
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.lake_page import Asked, request_of
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.web.studio.visitor import Visitor, studio_of_home, text_of

pytestmark = pytest.mark.integration
SHARES = {"train": "60", "test": "20", "validation": "20"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Visitor:
    """A browser on a home with one collection of ten images, `tiles`."""
    home = FactoryHome(tmp_path_factory.mktemp("lake") / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        prepare_home(home)
        bench = Bench(home, instance)
        bench.prepare("tiles")
    return Visitor(studio_of_home(home))


def done(visitor: Visitor, page: str) -> str:
    """Wait for a task; gives the address of its result."""
    found = re.search(r'hx-get="(/tasks/[0-9a-f]+)"', page)
    address = found[1] if found else ""
    until = time.monotonic() + 120
    while True:
        answer = visitor.get(address, headers={"HX-Request": "true"}) if address else None
        if answer is not None and "hx-redirect" in answer.headers:
            return answer.headers["hx-redirect"]
        assert answer is None or "It failed" not in answer.text, answer and text_of(answer.text)
        assert time.monotonic() < until
        time.sleep(0.2)


def test_items_are_found_shown_and_mapped(lake: Visitor) -> None:
    page = lake.page("/lake")
    assert "10 images" in text_of(page)
    assert "annotation.label=Water" in page, "labels complete the query"
    assert '<svg class="map"' in page
    pictures = re.findall(r'src="(/lake/pictures/[^"]+)"', page)
    assert len(set(pictures)) == 10
    assert lake.get(pictures[0]).content[:4] == b"RIFF"
    assert "No image matches" in lake.page("/lake?q=annotation.label=Lava")
    assert "10 images" in text_of(lake.page("/lake?q=annotation.label%3DWater"))


def test_a_query_is_counted_while_it_is_typed(lake: Visitor) -> None:
    def counted(query: str) -> str:
        return text_of(lake.page(f"/lake/count?q={query}"))

    assert counted("") == "10 images match"
    assert counted("annotation.label%3DWater") == "10 images match"
    assert counted("annotation.label%3DLava") == "0 images match"
    assert "colour" in counted("colour%3Dred")


def test_each_augmentation_is_shown_on_an_image_of_the_selection(lake: Visitor) -> None:
    page = lake.page("/lake?q=annotation.label%3DWater")
    shown = [unescape(one) for one in re.findall(r'src="(/lake/augmented/[^"]+)"', page)]
    operations = Counter(re.findall(r"operation=([A-Z_]+)", " ".join(shown)))
    assert operations["FLIP_IMAGE"] == 2
    assert operations["NINETY_ROTATION"] == 3
    assert operations["NOISE"] == 1
    assert operations["HUE"] == 0, "the bands are blue and red alone"
    assert "no copy is made of it" in page
    original = lake.get(re.findall(r'src="(/lake/pictures/[^"]+)"', page)[0]).content
    pictures = [lake.get(address) for address in shown]
    assert {picture.status_code for picture in pictures} == {200}
    drawn = {picture.content for picture in pictures}
    assert original not in drawn
    assert len(drawn) == len(shown), "each shows something else"
    item = shown[0].partition("&operation")[0]
    for wrong in ("&operation=HUE", "&operation=BLUR", "&operation=NOISE&copy=1", "&operation=NOISE&copy=x"):
        assert lake.get(item + wrong).status_code == 404


def test_a_query_that_is_not_allowed_says_why(lake: Visitor) -> None:
    page = text_of(lake.page("/lake?q=colour%3Dred", status=422))
    assert "colour" in page
    assert "metadata.<name>" in page


def test_a_form_asks_for_what_a_call_of_the_sdk_does() -> None:
    form = {"dataset_name": ["Wet"], "labels": ["Water"], "export_types": ["COCO"], "augmentations": ["HUE"]}
    form |= {split: [share] for split, share in SHARES.items()}
    asked = Asked.of({"q": "annotation.label=Water", "from_date": "2024-01-01", "collection": "abc"})
    hue = {"id": "HUE_DEGREES", "values": [-10, 10]}
    assert request_of(form, asked) == DatasetRequest.of(
        dataset_name="Wet",
        split_info={"train": 60, "test": 20, "validation": 20},
        labels=["Water"],
        export_types=["COCO"],
        query="annotation.label=Water",
        filter={"from_date": "2024-01-01"},
        collection_id="abc",
        augmentation_list={"IMAGE_LEVEL": [{"id": "HUE", "properties": [hue]}]},
    )


def test_a_form_may_say_more_of_the_splits_and_ask_for_a_part() -> None:
    form = {split: [share] for split, share in SHARES.items()} | {"dataset_name": ["Wet"]}
    form |= {
        "balance": ["year, platform"],
        "group_by": ["granule"],
        "block_m": ["2500"],
        "buffer_m": [" 60 "],
    }
    form |= {"subset_size": ["50"], "subset_by": ["label, day"], "subset_cover": [""]}
    assert request_of(form, Asked()) == DatasetRequest.of(
        dataset_name="Wet",
        split_info={"train": 60, "test": 20, "validation": 20},
        labels=[],
        balance=["year", "platform"],
        group_by=["granule"],
        block_m=2500,
        buffer_m=60,
        subset={"size": 50, "by": ["label", "day"]},
    )
    for name, wrong in (("block_m", "wide"), ("subset_size", "many")):
        with pytest.raises(ArgumentError, match=wrong):
            request_of({**form, name: [wrong]}, Asked())


def test_a_form_may_divide_by_time_or_by_a_property() -> None:
    form = {split: [share] for split, share in SHARES.items()} | {"dataset_name": ["Wet"]}
    years = form | {"split_by": ["year"], "in_train": ["2019, 2020"], "in_test": ["2021"]}
    asked = {"dataset_name": "Wet", "labels": []}
    by_year = {"by": "column", "column": "year", "train": ["2019", "2020"], "test": ["2021"]}
    assert request_of(years, Asked()) == DatasetRequest.of(**asked, split_info={}, split_by=by_year)
    spans = form | {"split_by": ["time"], "in_train": ["2020-01-01 / 2020-12-31"], "block_m": ["500"]}
    by_time = {"by": "time", "train": ["2020-01-01", "2020-12-31"]}
    with pytest.raises(ArgumentError, match="of the blocks of the ground, train must have percentages"):
        request_of(spans, Asked())
    spans |= {"train": ["100"], "test": ["0"], "validation": ["0"]}
    assert request_of(spans, Asked()) == DatasetRequest.of(
        **asked, split_info={"train": 100, "test": 0, "validation": 0}, split_by=by_time, block_m=500
    )
    with pytest.raises(ArgumentError, match="split_by is '';"):
        request_of(form | {"in_test": ["2021"]}, Asked())


def test_what_was_typed_stays_in_the_form_that_is_refused(lake: Visitor) -> None:
    form = {"dataset_name": "Wet", "labels": "Water", **SHARES, "subset_size": "4", "subset_by": "<b>"}
    page = lake.send_form("/lake/create", form, status=422)
    assert 'value="&lt;b&gt;"' in page
    assert "subset.by[0]" in text_of(page)


def test_what_can_not_be_made_is_said_before_any_work(lake: Visitor) -> None:
    form = {"dataset_name": "Wet", "labels": "Water", **SHARES, "train": "50"}
    page = text_of(lake.send_form("/lake/create", form, status=422))
    assert "split_info is " in page
    assert "must sum to 100" in page
    page = text_of(lake.send_form("/lake/create", {**form, "train": "60", "labels": "Lava"}, status=422))
    assert "Lava" in page


def test_a_version_is_made_exported_downloaded_and_deleted(lake: Visitor) -> None:
    form = {
        "dataset_name": "Wet <i>land</i>",
        "labels": "Water",
        "q": "annotation.label=Water",
        **SHARES,
        "overlap": "ignore",
    }
    version = done(lake, lake.send_form("/lake/create", form))
    page = lake.page(version)
    assert "share ground or content" in page or "overlapping or identical items" in page or "No two" in page
    assert 'class="footprint train"' in page or 'class="dots train"' in page
    told = text_of(page)
    assert "Wet <i>land</i>" in told
    assert "10 items" in told
    assert "Train 6 60.0 %" in told
    assert "create_dataset_from_datalake(" in told
    assert "query='annotation.label=Water'," in told
    assert "Wet &lt;i&gt;land" in lake.page("/")
    exported = done(lake, lake.send_form(f"{version}/export", {"export_type": "COCO"}))
    assert exported == version
    assert "Download COCO" in lake.page(version)
    answer = lake.get(f"{version}/exports/coco.zip")
    assert answer.headers["content-disposition"].startswith("attachment;")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert "export.json" in archive.namelist()
        assert len([name for name in archive.namelist() if name.endswith((".png", ".tif"))]) >= 10
    assert lake.get(f"{version}/exports/raw.zip").status_code == 404
    lake.send_form(f"{version}/delete", {"key": "another"}, status=400)
    page = lake.send_form(f"{version}/delete", {"key": version.rpartition("/")[2]})
    assert "1.0.0 was deleted." in page
    lake.page(version, status=404)
