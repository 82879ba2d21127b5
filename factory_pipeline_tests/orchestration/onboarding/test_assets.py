"""An upload goes the whole way through Dagster: from the manifest to the registered dataset."""

from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
import yaml

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.orchestration.onboarding import stage
from factory_pipeline.splits.assign import SPLIT_FILES
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline_tests.archives.servers import host, whole
from factory_pipeline_tests.onboarding.factory import Bench, bytes_below
from factory_pipeline_tests.onboarding.uploads import geotiff, mask, pairs, tar_of, zip_of


def materialized(bench: Bench, asset: str) -> set[str]:
    return bench.instance.get_materialized_partitions(dg.AssetKey(asset))


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations() if not check.passed}


def observed(bench: Bench, asset: str) -> dict[str, object]:
    """What the web UI shows of an asset whose run failed, without a log."""
    [record] = bench.instance.fetch_observations(dg.AssetKey(asset), limit=5).records
    event = record.asset_observation
    assert event is not None
    return {name: entry.value for name, entry in event.metadata.items()}


def test_a_zip_and_its_manifest_become_a_dataset(finished: tuple[Bench, str]) -> None:
    bench, key = finished
    assert bench.upload(key).status is UploadStatus.SUCCEEDED
    files = bench.home.upload(key).finished
    assert files.root == bench.home.datasets / "rivers" / key.partition("@")[2]
    assert {path.name for path in files.root.iterdir()} == {
        "training_data", "labels", "split_files", "splits.json", "training_params.json", "terratorch.yaml",
        "dataset.html", "croissant.json", "items.parquet",
    }  # fmt: skip
    items = pl.read_parquet(files.items)
    assert items.height == 10
    for split, name in SPLIT_FILES.items():
        stems = (files.split_files / name).read_text().split()
        assert stems == sorted(items.filter(pl.col("split") == split)["id"])
    for row in items.iter_rows(named=True):
        for path, original in ((row["image_path_image"], "images/{}_merged.tif"), (row["label_path"], None)):
            assert (files.root / path).is_file()
            if original is not None:
                assert (files.root / path).read_bytes() == pairs(10)[original.format(row["original_name"])]
    data = yaml.safe_load(files.terratorch.read_text())["data"]["init_args"]
    assert data["train_data_root"] == "training_data/image", "a path in the file's own folder"
    assert data["dataset_bands"] == ["BLUE", "RED"]
    assert TrainingParameters.read(files.training_params).images == 6
    assert materialized(bench, "onboarded_dataset") == {key}


def test_archive_and_unpacked_files_go_once_the_dataset_is_finished(finished: tuple[Bench, str]) -> None:
    bench, key = finished
    files = bench.home.upload(key)
    assert not files.unpacked.exists()
    assert not files.unfinished.root.exists()
    assert (bench.home.upload_inbox / "rivers.zip").exists()


def test_the_web_ui_shows_reports_statistics_pictures_and_the_page(finished: tuple[Bench, str]) -> None:
    bench, key = finished

    def metadata(asset: str) -> dict[str, object]:
        event = bench.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        return {name: entry.value for name, entry in event.asset_materialization.metadata.items()}

    report = metadata("prescan_report")
    assert (report["images"], report["labels"]) == (10, 10)
    assert report["files by suffix"].records[0].data["band_names"] == "Blue, Red"
    parameters = metadata("training_parameters")
    assert [row.data["band"] for row in parameters["bands"].records] == ["Blue", "Red"]
    assert len(parameters["histograms"]) < 100_000
    assert Path(parameters["path"]).is_file()
    page = metadata("dataset_page")
    # A path on the web server, which leads to the pages on whatever port they are.
    assert page["page"] == f"/pages/datasets/{key.replace('@', '/')}/dataset.html"
    assert "data:image/png;base64," in page["preview"]


def test_a_rerun_does_nothing_again_and_changes_no_byte(finished: tuple[Bench, str]) -> None:
    bench, key = finished
    folders = (bench.home.datasets, bench.home.upload(key).root)
    before = [bytes_below(folder) for folder in folders]
    times = {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}
    assert bench.run(key).success
    assert [bytes_below(folder) for folder in folders] == before
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert bench.upload(key).status is UploadStatus.SUCCEEDED


def test_an_image_without_label_stops_the_onboarding_and_is_named(bench: Bench) -> None:
    files = pairs(4)
    del files["labels/tile_2_mask.tif"]
    key = bench.take_in(bench.drop("rivers", files))
    result = bench.run(key)
    assert not result.success
    [check] = failed_checks(result).values()
    assert check.check_name == "pairs_complete"
    assert check.metadata["files"].value == ["images/tile_2_merged.tif"]
    upload = bench.upload(key)
    assert (upload.status, upload.code) == (UploadStatus.FAILED, "UNPAIRED")
    assert upload.reason == check.description
    assert observed(bench, "prescan_report") == {
        "status": "Failed",
        "reason": upload.reason,
        "code": "UNPAIRED",
    }
    assert materialized(bench, "prescan_report") == {key}
    assert not materialized(bench, "dataset_items")
    assert not bench.home.datasets.exists()


@pytest.mark.parametrize(
    ("name", "content", "check"),
    [
        ("labels/tile_1_mask.tif", mask(0, 1, 7), "mask_values_known"),
        ("images/tile_1_merged.tif", pairs(1)["images/tile_0_merged.tif"], "images_different"),
        ("images/tile_1_merged.tif", geotiff(nodata=0)[:-90], "pixels_readable"),
    ],
)
def test_a_fault_in_the_pixels_stops_the_onboarding(
    bench: Bench, name: str, content: bytes, check: str
) -> None:
    key = bench.take_in(bench.drop("rivers", {**pairs(4), name: content}))
    result = bench.run(key)
    assert name in failed_checks(result)[check].metadata["files"].value
    assert bench.upload(key).code == "CHECK_FAILED"
    assert not materialized(bench, "dataset_split")


def test_bands_that_the_files_lack_are_told_before_anything_is_unpacked(bench: Bench) -> None:
    sources = [{"file_suffix": "_merged.tif", "bands": ["Blue", "Green", "Red"]}]
    key = bench.take_in(bench.drop("rivers", pairs(4), data_sources=sources))
    assert "bands_described" in failed_checks(bench.run(key))
    assert bench.upload(key).reason == (
        "The modality image has 2 bands in the files, of which the manifest describes 0, 1, 2"
        " (the first band is 0)."
    )


def test_a_manifest_that_was_mended_onboards_after_a_failure(bench: Bench) -> None:
    files = {**pairs(4), "labels/tile_1_mask.tif": mask(0, 1, 7)}
    assert not bench.run(bench.take_in(bench.drop("rivers", files))).success
    categories = [{"id": value, "name": f"class {value}", "color": "red"} for value in (0, 1, 7)]
    key = bench.onboard("rivers", files, label_categories=categories)
    assert bench.upload("rivers").key == key


def test_a_remote_zip_is_scanned_by_its_headers_then_downloaded(bench: Bench, tmp_path: Path) -> None:
    files = {name: content + bytes(200_000) for name, content in pairs(6).items()}
    zip_of(tmp_path / "far.zip", files)
    bench.allow(private_addresses=True)
    with SampleServer(tmp_path) as server:
        key = bench.onboard("far", {}, dataset_url=f"{server.url}/far.zip")
    event = bench.instance.get_latest_materialization_event(dg.AssetKey("prescan_report"))
    metadata = event.asset_materialization.metadata
    assert metadata["bytes read"].value < metadata["archive bytes"].value / 2
    assert bench.upload(key).status is UploadStatus.SUCCEEDED
    assert not bench.home.upload(key).archive.exists()


def test_a_host_without_ranges_is_told_and_the_archive_downloaded_first(bench: Bench, tmp_path: Path) -> None:
    content = tar_of(tmp_path / "a.tar.gz", pairs(6)).read_bytes()
    bench.allow(private_addresses=True)
    with host(whole(content)) as url:
        key = bench.onboard("far", {}, dataset_url=f"{url}/a.tar.gz")
    event = bench.instance.get_latest_materialization_event(dg.AssetKey("prescan_report"))
    assert "can't serve parts of a file" in str(event.asset_materialization.metadata["notes"].value)
    assert pl.read_parquet(bench.home.upload(key).finished.items).height == 6


def test_a_host_that_is_away_is_asked_again_then_told_without_secrets(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zip_of(tmp_path / "far.zip", pairs(4))
    bench.allow(private_addresses=True, retries=0)
    monkeypatch.setattr(stage, "SECONDS_BETWEEN_TRIES", 0)
    with SampleServer(tmp_path) as server:
        manifest = bench.drop("far", None, dataset_url=f"{server.url}/far.zip?signature=s3cr3t")
        key = bench.take_in(manifest)
    result = bench.run(key)
    assert sum(event.is_step_up_for_retry for event in result.all_events) == stage.MOST_TRIES - 1
    upload = bench.upload(key)
    assert upload.code == "URL_UNREACHABLE"
    assert observed(bench, "uploaded_archive")["reason"] == upload.reason
    log = [bench.instance.all_logs(run.run_id) for run in bench.instance.get_runs()]
    manifest.unlink()
    kept = b"".join(bytes_below(bench.home.root).values())
    assert "far.zip can't be read" in str(log)
    assert "s3cr3t" not in str(log)
    assert b"s3cr3t" not in kept


def test_an_archive_that_changes_on_the_way_is_refused(bench: Bench) -> None:
    key = bench.take_in(bench.drop("rivers", pairs(4)))
    bench.drop("rivers", pairs(5))
    assert not bench.run(key).success
    assert bench.upload(key).code == "SOURCE_CHANGED"


def test_a_manifest_leads_to_no_file_outside_the_allowed_folders(bench: Bench, tmp_path: Path) -> None:
    zip_of(tmp_path / "private.zip", pairs(4))
    manifest = bench.drop("rivers", None, dataset_url="../../../private.zip")
    with pytest.raises(OnboardingError) as caught:
        bench.take_in(manifest)
    assert caught.value.code == "ADDRESS_NOT_ALLOWED"


def test_a_split_file_is_looked_up_in_the_archive_only(bench: Bench) -> None:
    splits = {"train_file": "../manifest.json"}
    key = bench.take_in(bench.drop("rivers", pairs(4), splits=splits))
    assert not bench.run(key).success
    assert bench.upload(key).reason == (
        "The manifest names '../manifest.json' for train; the archive has no such file."
    )


def test_images_on_the_same_ground_in_different_splits_are_told(bench: Bench) -> None:
    key = bench.take_in(bench.drop("rivers", pairs(6)))
    result = bench.run(key)
    assert result.success, "a random split promises nothing about the ground"
    [check] = failed_checks(result).values()
    assert check.check_name == "splits_share_no_ground"
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert "tile_3" in check.metadata["files"].value


def test_a_split_by_place_parts_no_overlapping_images(bench: Bench) -> None:
    files = {
        f"tile_{number}_{kind}.tif": geotiff(values, left=500_000 + number // 2 * 5_000, nodata=0)
        for number in range(12)
        for kind, values in (
            ("merged", np.random.default_rng(number).integers(1, 99, (2, 8, 8)).astype(np.uint16)),
            ("mask", np.ones((1, 8, 8), dtype=np.uint8)),
        )
    }
    key = bench.take_in(bench.drop("rivers", files, splits="overlap"))
    result = bench.run(key)
    assert result.success
    # Its masks declare 0 as no data, which is also a category.
    assert set(failed_checks(result)) == {"nodata_is_no_category"}
