"""A dataset is added in steps that can be left, and comes out as the manifest that new-manifest writes."""

import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.storage.atomic import file_lock
from factory_pipeline.web.studio.add import parts
from factory_pipeline.web.studio.add.drafts import drop_old_drafts
from factory_pipeline.web.studio.context import Studio
from factory_pipeline_tests.archives.servers import host, whole
from factory_pipeline_tests.datalake.ingest.releases.archives import box as road
from factory_pipeline_tests.datalake.ingest.releases.archives import feature, tar_gz
from factory_pipeline_tests.datalake.ingest.releases.archives import pairs as release_files
from factory_pipeline_tests.onboarding.test_folders import in_folders
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of
from factory_pipeline_tests.web.studio.visitor import Visitor, studio_of_home, text_of

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

PURPOSE = {"purpose": "Segmentation"}


def begin(visitor: Visitor, content: bytes, draft: str = "", name: str = "tiles.zip") -> dict[str, Any]:
    told = {"name": name, "bytes": len(content), "modified": "1", "draft": draft}
    answer = visitor.post("/add/upload", json=told, headers=visitor.headers_of_page())
    return {"status": answer.status_code, **answer.json()}


def send_part(visitor: Visitor, draft: str, offset: int, part: bytes) -> dict[str, Any]:
    answer = visitor.put(
        f"/add/{draft}/archive?offset={offset}", content=part, headers=visitor.headers_of_page()
    )
    return {"status": answer.status_code, **answer.json()}


def uploaded(visitor: Visitor, content: bytes) -> str:
    """Upload an archive as a whole; gives the draft."""
    draft = str(begin(visitor, content)["draft"])
    assert send_part(visitor, draft, 0, content)["received"] == len(content)
    return draft


def scanned(visitor: Visitor, draft: str) -> str:
    """Wait for the pre-scan of a draft; gives its page."""
    until = time.monotonic() + 60
    while visitor.get(f"/add/{draft}/scanning").headers.get("hx-refresh") != "true":
        assert time.monotonic() < until
        time.sleep(0.02)
    return visitor.page(f"/add/{draft}/scan")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return zip_of(tmp_path_factory.mktemp("add") / "tiles.zip", pairs(5)).read_bytes()


def test_an_upload_goes_on_where_it_ended(visitor: Visitor, studio: Studio, archive: bytes) -> None:
    draft = str(begin(visitor, archive)["draft"])
    half = len(archive) // 2
    assert send_part(visitor, draft, 0, archive[:half])["received"] == half
    again = Visitor(studio)  # another browser, or the server after a restart
    assert begin(again, archive, draft)["received"] == half
    assert send_part(again, draft, 0, archive[:half]) == {"status": 409, "received": half}
    assert send_part(again, draft, half, archive[half:])["received"] == len(archive)
    assert studio.home.studio.draft(draft).archive.read_bytes() == archive
    other = archive + b"more"
    assert begin(again, other, draft)["received"] == 0, "another file begins at its start"


def test_what_is_no_archive_or_too_large_is_refused_before_it_is_sent(
    visitor: Visitor, studio: Studio, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "allowed are .zip" in begin(visitor, archive, name="tiles.exe")["error"]
    studio.home.intake_file.write_text(json.dumps({"max_archive_bytes": 100}))
    assert "allowed are 1 to 100" in begin(visitor, archive)["error"]
    studio.home.intake_file.unlink()
    draft = str(begin(visitor, archive)["draft"])
    assert send_part(visitor, draft, 0, archive + b"more")["status"] == 413
    monkeypatch.setattr(parts, "PART_BYTES", 100)
    assert send_part(visitor, draft, 0, archive[:101])["status"] == 413
    for unknown in ("0" * 16, "x"):
        assert send_part(visitor, unknown, 0, b"part")["status"] == 404
    assert studio.home.studio.draft(draft).archive.exists() is False


def test_the_whole_way_writes_what_new_manifest_writes(
    visitor: Visitor, studio: Studio, archive: bytes
) -> None:
    draft = uploaded(visitor, archive)
    visitor.send_form(f"/add/{draft}/file", PURPOSE)
    page = text_of(scanned(visitor, draft))
    assert "The pre-scan passed" in page
    assert "_merged.tif image 5 2 Blue, Red uint16 8 × 8 EPSG:32632" in page
    assert "The masks hold the values 0, 1." in page
    page = visitor.send_form(f"/add/{draft}/scan", {})
    assert 'value="Blue"' in page
    source = {"s0.modality_tag": "image", "s0.bands": "2", "s0.b0.name": "Blue", "s0.b1.name": "Red"}
    more = {"s0.b0.rgb": "B", "s0.b1.rgb": "R", "s0.b0.scale": "0.0001", "s0.b1.scale": "1"}
    named = {"dataset_name": "Flüsse <b>", "description": "Zwei\r\nZeilen"}
    page = visitor.send_form(f"/add/{draft}/configure", named | source | more)
    assert 'name="l1.id" value="1"' in page, "the values of the masks are proposed"
    labels = {"l0.id": "0", "l0.name": "Land", "l0.color": "#c8b27d", "l0.opacity": "1"}
    labels |= {"l1.id": "1", "l1.name": "Water", "l1.color": "#2a7ab9", "l1.opacity": "0.5"}
    added = visitor.send_form(f"/add/{draft}/labels", labels | {"action": "add"})
    assert 'name="l2.id" value="2"' in added
    visitor.send_form(f"/add/{draft}/labels", labels)
    shares = {"method": "random", "train": "50", "test": "25", "validation": "25", "seed": "7"}
    page = visitor.send_form(f"/add/{draft}/splits", shares)
    downloaded = visitor.get(f"/add/{draft}/manifest.yaml")
    assert downloaded.headers["content-type"].startswith("text/plain")
    assert text_of(page).count("Flüsse <b>")
    page = visitor.send_form(f"/add/{draft}/review", {})
    assert "was submitted and is being onboarded now." in page
    [manifest] = studio.home.upload_inbox.glob("*.yaml")
    assert manifest.read_text() == downloaded.text
    assert yaml.safe_load(manifest.read_text()) == {
        "type_of_upload": "Dataset & Labels",
        "purpose": "Segmentation",
        "dataset_url": manifest.with_suffix(".zip").name,
        "training_data_suffixes": ["_merged.tif"],
        "label_suffix": "_mask.tif",
        "dataset_name": "Flüsse <b>",
        "description": "Zwei\nZeilen",
        "data_sources": [
            {
                "modality_tag": "image",
                "file_suffix": "_merged.tif",
                "bands": [
                    {"index": 0, "band_name": "Blue", "RGB_band": "B", "scaling_factor": 0.0001},
                    {"index": 1, "band_name": "Red", "RGB_band": "R", "scaling_factor": 1},
                ],
            }
        ],
        "label_categories": [
            {"id": 0, "name": "Land", "color": "#c8b27d", "opacity": 1},
            {"id": 1, "name": "Water", "color": "#2a7ab9", "opacity": 0.5},
        ],
        "splits": {
            "method": "random",
            "seed": 7,
            "percentages": {"train": 50, "test": 25, "validation": 25},
        },
    }
    assert UploadManifest.load(manifest).splits.percentages.test == 25  # type: ignore[union-attr]
    [upload] = studio.registry.uploads()
    assert upload.status is UploadStatus.PENDING
    assert not studio.home.studio.draft(draft).root.exists()
    assert "Waiting to start" in visitor.page("/")


def test_the_sensor_takes_up_what_was_submitted(visitor: Visitor, studio: Studio, archive: bytes) -> None:
    import dagster as dg

    from factory_pipeline_tests.onboarding.factory import Bench, requested

    draft = uploaded(visitor, archive)
    visitor.send_form(f"/add/{draft}/file", {"purpose": "Generic"})
    scanned(visitor, draft)
    visitor.send_form(f"/add/{draft}/scan", {})
    visitor.send_form(f"/add/{draft}/configure", {"dataset_name": "Tiles", "s0.modality_tag": "image"})
    visitor.send_form(f"/add/{draft}/review", {})
    [upload] = studio.registry.uploads()
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Bench(studio.home, instance)
        second = bench.tick(bench.tick(None).cursor)
        assert requested(second) == [upload.key]
        assert bench.run(upload.key).success
    assert "5 pairs of image and label" not in visitor.page("/")
    assert "3 train" in text_of(visitor.page("/"))


def test_a_draft_is_left_and_come_back_to(visitor: Visitor, studio: Studio, archive: bytes) -> None:
    draft = uploaded(visitor, archive)
    visitor.send_form(f"/add/{draft}/file", PURPOSE)
    scanned(visitor, draft)
    visitor.send_form(f"/add/{draft}/scan", {})
    visitor.send_form(f"/add/{draft}/configure", {"dataset_name": "Halfway", "s0.modality_tag": "image"})
    later = Visitor(studio_of_home(studio.home))
    assert "Halfway" in later.page("/add")
    assert 'value="Halfway"' in later.page(f"/add/{draft}/configure")
    assert "The pre-scan passed" in later.page(f"/add/{draft}/scan")
    page = later.send_form(f"/add/{draft}/drop", {})
    assert "The draft Halfway was dropped." in page
    assert not studio.home.studio.draft(draft).root.exists()
    assert "There is no such draft" in later.page(f"/add/{draft}/labels", status=400)


def test_what_a_form_lacks_is_said_on_its_page(visitor: Visitor, archive: bytes) -> None:
    assert "Choose an archive" in visitor.send_form("/add", PURPOSE, status=422)
    draft = uploaded(visitor, archive)
    assert "Choose what the dataset is for." in visitor.send_form(f"/add/{draft}/file", {}, status=422)
    link = {**PURPOSE, "dataset_url": "https://user:secret@host/a.zip"}
    assert "must hold no user and password" in visitor.send_form("/add", link, status=422)
    visitor.send_form(f"/add/{draft}/file", PURPOSE)
    scanned(visitor, draft)
    visitor.send_form(f"/add/{draft}/scan", {})
    form = {"dataset_name": "A", "s0.modality_tag": "not a tag!", "s0.bands": "1", "s0.b0.name": "Red"}
    page = text_of(visitor.send_form(f"/add/{draft}/configure", form, status=422))
    assert "The form has 'not a tag!' at data_sources.0.modality_tag: allowed are letters" in page
    one = {"l0.id": "0", "l0.name": "Land", "l0.color": "#c8b27d"}
    page = text_of(visitor.send_form(f"/add/{draft}/labels", one, status=422))
    assert "Segmentation needs at least two" in page
    half = {"method": "random", "train": "50", "test": "20", "validation": "20"}
    assert "add up to 90 percent" in visitor.send_form(f"/add/{draft}/splits", half, status=422)
    assert "The form" in visitor.send_form(f"/add/{draft}/review", {}, status=422)


def test_a_bad_archive_says_why_and_other_suffixes_can_be_tried(visitor: Visitor, tmp_path: Path) -> None:
    files = pairs(3)
    del files["labels/tile_2_mask.tif"]
    draft = uploaded(visitor, zip_of(tmp_path / "a.zip", files).read_bytes())
    form = {**PURPOSE, "suffixes": "_image.tif", "label_suffix": "_mask.tif"}
    visitor.send_form(f"/add/{draft}/file", form)
    page = scanned(visitor, draft)
    assert "The pre-scan found problems" in page
    assert "_merged.tif" in text_of(page), "the endings are offered"
    again = {"action": "again", "suffixes": "_merged.tif", "label_suffix": "_mask.tif"}
    visitor.send_form(f"/add/{draft}/scan", again)
    page = text_of(scanned(visitor, draft))
    assert "Failed" in page
    assert "images/tile_2_merged.tif" in page


def test_names_that_do_not_say_what_is_a_label_are_asked_for_before_it_goes_on(
    visitor: Visitor, tmp_path: Path
) -> None:
    files = {name.replace("_mask.tif", "_map.tif"): content for name, content in pairs(2).items()}
    draft = uploaded(visitor, zip_of(tmp_path / "a.zip", files).read_bytes())
    visitor.send_form(f"/add/{draft}/file", {**PURPOSE, "suffixes": "", "label_suffix": ""})
    page = text_of(scanned(visitor, draft))
    assert "Say how the names of images and labels end" in page
    assert "_map.tif (2)" in page
    assert "Pre-scan again" in page
    assert "Configure dataset" not in page
    again = {"action": "again", "suffixes": "_merged.tif", "label_suffix": "_map.tif"}
    visitor.send_form(f"/add/{draft}/scan", again)
    assert "Configure dataset" in text_of(scanned(visitor, draft))


def test_a_release_is_recognised_and_imported(visitor: Visitor, studio: Studio, tmp_path: Path) -> None:
    labels = {"a": feature({"road": [road(1, 1, 4, 5)]}), "b": feature({"road": []})}
    content = tar_gz(tmp_path / "roads.tar.gz", release_files(labels)).read_bytes()
    draft = str(begin(visitor, content, name="Roads 1.tar.gz")["draft"])
    send_part(visitor, draft, 0, content)
    visitor.send_form(f"/add/{draft}/file", PURPOSE)
    assert "This is a release" in text_of(scanned(visitor, draft))
    refused = after_task(visitor, visitor.send_form(f"/add/{draft}/release", {"mltype": "captions"}))
    assert "mltype is 'captions'" in refused
    assert "Done" in after_task(visitor, visitor.send_form(f"/add/{draft}/release", {"mltype": ""}))
    (collection,) = studio.registry.collections()
    assert (collection.name, collection.item_count) == ("roads-1", 2)
    assert not studio.home.studio.draft(draft).root.exists()


def test_a_release_behind_a_link_is_recognised_and_imported(
    visitor: Visitor, studio: Studio, tmp_path: Path
) -> None:
    """Also where the host sends whole files alone, as simple ones do."""
    studio.home.root.mkdir(parents=True, exist_ok=True)
    studio.home.intake_file.write_text("private_addresses: true\n")
    labels = {"a": feature({"road": [road(1, 1, 4, 5)]}), "b": feature({"road": []})}
    content = tar_gz(tmp_path / "roads.tar.gz", release_files(labels)).read_bytes()
    with host(whole(content)) as url:
        page = visitor.send_form("/add", {**PURPOSE, "dataset_url": f"{url}/roads.tar.gz"})
        draft = re.search(r"/add/([0-9a-f]+)/", page)
        assert draft is not None
        assert "This is a release" in text_of(scanned(visitor, draft[1]))
        form = {"name": "Roads by link", "mltype": "", "label_coordinates": ""}
        assert "Done" in after_task(visitor, visitor.send_form(f"/add/{draft[1]}/release", form))
    (collection,) = studio.registry.collections()
    assert (collection.name, collection.item_count) == ("roads-by-link", 2)


def after_task(visitor: Visitor, page: str) -> str:
    """Wait for the task of a page; gives what its page says then."""
    task = re.search(r"/tasks/[0-9a-f]+", page)
    until = time.monotonic() + 120
    while not re.search("Done|It failed", text_of(page)):
        assert task is not None
        assert time.monotonic() < until, page
        time.sleep(0.1)
        page = visitor.page(task[0])
    return text_of(page)


def test_names_may_be_the_same_in_folders_of_splits(visitor: Visitor, tmp_path: Path) -> None:
    files = in_folders("{split}/{name}_merged.tif", "{split}/{name}_mask.tif")
    draft = uploaded(visitor, zip_of(tmp_path / "a.zip", files).read_bytes())
    visitor.send_form(f"/add/{draft}/file", PURPOSE)
    page = text_of(scanned(visitor, draft))
    assert "The pre-scan passed" in page
    assert "choose the folders of the archive as the splits" in page


def test_without_a_pre_scan_the_bands_are_given_by_hand(visitor: Visitor) -> None:
    form = {**PURPOSE, "dataset_url": "https://127.0.0.1:9/a.zip", "purpose": "Generic"}
    page = visitor.send_form("/add", {**form, "suffixes": "_a.tif", "label_suffix": "_b.tif"})
    found = re.search(r"/add/([0-9a-f]{16})/", page)
    assert found is not None
    draft = found[1]
    assert "No pre-scan" in scanned(visitor, draft)
    page = visitor.send_form(f"/add/{draft}/scan", {})
    assert "Number of bands" in page
    named = {"dataset_name": "A", "s0.modality_tag": "image"}
    page = visitor.send_form(f"/add/{draft}/configure", {**named, "s0.bands": "3", "action": "bands"})
    assert 'name="s0.b2.name" value="Band 2"' in page


def test_a_name_is_told_free_or_taken_while_it_is_typed(visitor: Visitor, studio: Studio) -> None:
    draft = str(begin(visitor, b"archive")["draft"])
    studio.registry.register_upload("tiles-of-the-north@00000001", "dataset_name: Tiles of the north\n")

    def told(name: str) -> str:
        return text_of(visitor.page(f"/add/{draft}/name?dataset_name={name}"))

    assert told("Tiles") == "This name is free."
    assert "Taken" in (taken := told("Tiles of the north"))
    assert "(tiles-of-the-north@00000001)" in taken
    assert "dataset_name" in told("")
    assert "<b>" not in visitor.page(f"/add/{draft}/name?dataset_name=%3Cb%3E")
    visitor.page("/add/0000000000000000/name?dataset_name=a", status=400)


def test_drafts_that_nobody_uses_are_removed_after_a_month(visitor: Visitor, studio: Studio) -> None:
    def later(days: float) -> datetime:
        return datetime.now(UTC) + timedelta(days=days)

    left, held, looked_at = (str(begin(visitor, b"archive")["draft"]) for _ in range(3))
    send_part(visitor, left, 0, b"arch")
    assert drop_old_drafts(studio.home, now=later(29)) == []
    old = later(-20).timestamp()
    for draft in (left, held, looked_at):
        for path in studio.home.studio.draft(draft).root.iterdir():
            os.utime(path, (old, old))
    visitor.page(f"/add/{looked_at}/file")
    with file_lock(studio.home.studio.draft(held).lock):
        assert drop_old_drafts(studio.home, in_use={left}, now=later(20)) == []
        assert drop_old_drafts(studio.home, now=later(20)) == [left]
    assert drop_old_drafts(studio.home, now=later(20)) == [held]
    for draft in (left, held):
        assert not studio.home.studio.draft(draft).root.exists()
    assert f"/add/{looked_at}/file" in visitor.page("/add")


def test_files_of_this_machine_are_read_only_where_the_intake_allows(
    visitor: Visitor, archive: bytes, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.zip"
    outside.write_bytes(archive)
    page = visitor.send_form("/add", {**PURPOSE, "dataset_url": str(outside)})
    found = re.search(r"/add/([0-9a-f]{16})/", page)
    assert found is not None
    assert "outside.zip" in (told := text_of(scanned(visitor, found[1])))
    assert "No pre-scan" in told
    assert "folders that may be read" in told


def test_known_collections_fill_in_the_bands(visitor: Visitor, archive: bytes) -> None:
    draft = uploaded(visitor, archive)
    visitor.send_form(f"/add/{draft}/file", {"purpose": "Generic"})
    scanned(visitor, draft)
    visitor.send_form(f"/add/{draft}/scan", {})
    form = {"dataset_name": "A", "s0.modality_tag": "S2", "s0.collection": "Sentinel-2 L2A"}
    bands = {"s0.bands": "2", "s0.b0.name": "Blue", "s0.b1.name": "Red", "action": "fill:0"}
    page = visitor.send_form(f"/add/{draft}/configure", form | bands)
    assert 'value="sentinel-2-l2a"' in page
    assert 'name="s0.b0.scale" value="0.0001"' in page
    assert "0.4924 µm" in page
