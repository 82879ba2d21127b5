"""A release that is dropped into the inbox is imported, and its asset shows what was decided."""

from contextlib import closing

import dagster as dg

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.definitions import defs
from factory_pipeline.orchestration.onboarding.abandoned import abandoned_uploads
from factory_pipeline.orchestration.run_lock import release_run_lock
from factory_pipeline.runs.onboarding import remove
from factory_pipeline_tests.datalake.ingest.releases.archives import box, feature, outline, pairs, tar_gz
from factory_pipeline_tests.onboarding.conftest import bench
from factory_pipeline_tests.onboarding.factory import Bench, requested
from factory_pipeline_tests.onboarding.uploads import pairs as rasters
from factory_pipeline_tests.onboarding.uploads import zip_of

__all__ = ["bench"]
LABELS = {
    "a": feature({"road": [box(20.001, 49.99, 20.004, 49.995)]}, outline(0)),
    "b": feature({"road": []}, outline(1)),
}


def run(bench: Bench, key: str) -> dg.ExecuteInProcessResult:
    result = defs.resolve_job_def("import_release").execute_in_process(
        instance=bench.instance,
        partition_key=key,
        run_config={"resources": {"factory": {"config": {"home": str(bench.home.root)}}}},
        raise_on_error=False,
    )
    release_run_lock(bench.home, result.run_id)
    return result


def ticked(bench: Bench) -> dg.SensorResult:
    """The second of two ticks, which finds what is there the same as before."""
    second = bench.tick(bench.tick(None).cursor)
    for request in second.dynamic_partitions_requests or []:
        bench.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    return second


def test_a_dropped_release_is_imported_and_another_archive_is_not(bench: Bench) -> None:
    bench.home.upload_inbox.mkdir(parents=True, exist_ok=True)
    tar_gz(bench.home.upload_inbox / "roads-1.tar.gz", pairs(LABELS) | {"meta.json": {"name": "Roads"}})
    zip_of(bench.home.upload_inbox / "tiles.zip", rasters(2))
    second = ticked(bench)
    (request,) = second.run_requests
    assert (request.job_name, request.partition_key[:8]) == ("import_release", "roads-1@")
    assert bench.upload(request.partition_key).status is UploadStatus.PENDING
    result = run(bench, request.partition_key)
    assert result.success
    assert bench.upload(request.partition_key).status is UploadStatus.SUCCEEDED
    (event,) = result.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    assert metadata["labels"].value == "object_detection: inferred: all labels are axis-parallel boxes"
    assert metadata["coordinates of labels"].value.startswith("geographic: every label")
    assert metadata["georeferencing"].records[0].data == {
        "from": "the four corners of the outline",
        "images": 2,
    }
    assert metadata["preview"].value.startswith("![images with their labels](data:image/png;base64,")
    with closing(bench.factory.registry()) as registry:
        (collection,) = registry.collections()
    assert (collection.name, collection.item_count) == ("roads", 2)
    assert not requested(bench.tick(second.cursor))
    remove(request.partition_key, bench.home)
    with closing(bench.factory.registry()) as registry:
        assert not registry.collections()
    assert not list((bench.home.root / "releases").rglob("*.tif"))


def test_a_release_that_is_refused_says_why(bench: Bench) -> None:
    bench.home.upload_inbox.mkdir(parents=True, exist_ok=True)
    files = pairs(LABELS) | {"labels/b.json": b"{"}
    tar_gz(bench.home.upload_inbox / "roads.tar.gz", files)
    (request,) = ticked(bench).run_requests
    result = run(bench, request.partition_key)
    assert not result.success
    entry = bench.upload(request.partition_key)
    assert (entry.status, entry.code) == (UploadStatus.FAILED, "CHECK_FAILED")
    assert entry.reason.startswith("The release roads.tar.gz can't be imported: labels/b.json is not JSON")


def test_an_import_whose_process_died_is_started_again(bench: Bench) -> None:
    bench.home.upload_inbox.mkdir(parents=True, exist_ok=True)
    tar_gz(bench.home.upload_inbox / "roads.tar.gz", pairs(LABELS))
    (request,) = ticked(bench).run_requests
    died = bench.create_run("import_release", **{"dagster/partition": request.partition_key})
    lock = bench.home.run_lock(died.run_id)
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    found = abandoned_uploads(dg.build_sensor_context(instance=bench.instance), factory=bench.factory)
    (again,) = found.run_requests
    assert (again.job_name, again.partition_key) == ("import_release", request.partition_key)
