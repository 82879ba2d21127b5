"""Releases imported by the SDK: on this machine, and by a factory elsewhere."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from factory_pipeline import DatasetClient
from factory_pipeline.definitions import defs
from factory_pipeline.errors import ArgumentError, RemoteError
from factory_pipeline.orchestration.run_lock import release_run_lock
from factory_pipeline.sdk.graphql import DagsterServer
from factory_pipeline_tests.datalake.ingest.releases.archives import box, feature, pairs, tar_gz
from factory_pipeline_tests.onboarding.conftest import bench
from factory_pipeline_tests.onboarding.factory import Bench

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""
__all__ = ["bench"]

LABELS = {"a": feature({"road": [box(1, 1, 4, 5)], "bridge": []}), "b": feature({"road": []})}


@pytest.fixture
def elsewhere(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> DatasetClient:
    """A client whose web server runs jobs in this process, and tells what GraphQL would."""

    def run(
        _server: DagsterServer,
        job: str,
        config: Mapping[str, Any],
        *,
        partition: str | None = None,
        **_: Any,
    ) -> Mapping[str, Mapping[str, Any]]:
        result = defs.resolve_job_def(job).execute_in_process(
            instance=bench.instance,
            partition_key=partition,
            run_config={**config, "resources": {"factory": {"config": {"home": str(bench.home.root)}}}},
            raise_on_error=False,
        )
        release_run_lock(bench.home, result.run_id)
        for event in result.all_events:
            if event.is_step_failure:
                failure = event.step_failure_data.user_failure_data
                raise RemoteError(str(failure and failure.description))
        said: dict[str, dict[str, Any]] = {}
        for event in result.all_events:
            if event.is_step_materialization:
                made = event.step_materialization_data.materialization
                said[made.asset_key.to_user_string()] = texts_of(made.metadata)
            elif event.is_successful_output:
                said.setdefault(str(event.step_key), texts_of(event.step_output_data.metadata))
        return said

    monkeypatch.setattr(DagsterServer, "run", run)
    return DatasetClient("http://127.0.0.1:9", on_progress=lambda *_: None)


def texts_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Text and JSON as the web server sends them: as text, of which it sorts the keys."""
    values = {label: entry.value for label, entry in metadata.items()}
    return {
        label: json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
        for label, value in values.items()
        if isinstance(value, dict | str)
    }


def test_a_release_is_imported_by_a_factory_elsewhere(
    elsewhere: DatasetClient, bench: Bench, tmp_path: Path
) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()
    bench.allow(folders=[str(folder)])
    archive = tar_gz(folder / "roads.tar.gz", pairs(LABELS))
    report = elsewhere.import_release(str(archive), name="Roads of a town")
    assert (report.name, report.items) == ("roads-of-a-town", 2)
    assert list(report.classes.items()) == [("road", 1), ("bridge", 0)]
    broken = tar_gz(folder / "broken.tar.gz", pairs(LABELS) | {"labels/b.json": b"{"})
    with pytest.raises(RemoteError, match=r"labels/b\.json is not JSON"):
        elsewhere.import_release(str(broken))
    with pytest.raises(RemoteError, match=r"/etc/hosts"):
        elsewhere.import_release("/etc/hosts")
    # The same call on this machine finds what was imported, and may read any folder.
    here = DatasetClient(home=bench.home.root, on_progress=lambda *_: None)
    assert here.import_release(str(archive), name="Roads of a town") == report


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"url": "https://host/a.tar.gz?sig=secret"}, "url is 'https://host/a.tar.gz'; a factory elsewhere"),
        ({"url": "a.tar.gz"}, "url is 'a.tar.gz'; it must be an address, or the absolute path"),
        ({"url": "/a.tar.gz", "mltype": "captions"}, "mltype is 'captions'; it must be classification, "),
        ({"url": "/a.tar.gz", "label_coordinates": "utm"}, "label_coordinates is 'utm'; it must be geog"),
    ],
)
def test_bad_arguments_are_told_before_any_run(arguments: dict[str, str], said: str) -> None:
    client = DatasetClient("http://127.0.0.1:9", on_progress=lambda *_: None)
    with pytest.raises(ArgumentError) as raised:
        client.import_release(**arguments)  # type: ignore[arg-type]
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
