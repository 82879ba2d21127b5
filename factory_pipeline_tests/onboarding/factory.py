"""A factory home for tests of onboarding: uploads are dropped into it and go through the real assets.

Dagster is imported where it is used: unit tests import this module for its manifest.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.from_upload import collect_upload
from factory_pipeline.datalake.ingest.intake import register_upload, validate_upload
from factory_pipeline.datalake.registry.records import Upload, UploadStatus
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.onboarding.stages import STAGES
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of

if TYPE_CHECKING:
    import dagster as dg

    from factory_pipeline.orchestration.resources import FactoryResource

MANIFEST: dict[str, Any] = {
    "purpose": "Segmentation",
    "training_data_suffixes": ["_merged.tif"],
    "label_suffix": "_mask.tif",
    "description": "Tiles for tests.",
    "label_categories": [
        {"id": 0, "name": "Land", "color": "#c8b27d"},
        {"id": 1, "name": "Water", "color": "#2a7ab9"},
    ],
}


@dataclass(frozen=True)
class Bench:
    """A home and the instance that its runs are recorded in."""

    home: FactoryHome
    instance: "dg.DagsterInstance"

    @property
    def factory(self) -> "FactoryResource":
        """The resource of the home's assets and sensors."""
        from factory_pipeline.orchestration.resources import FactoryResource

        return FactoryResource(home=str(self.home.root))

    def drop(self, name: str, files: Mapping[str, bytes] | None = None, **changes: Any) -> Path:
        """Put a manifest, and a zip of the files where any are given, into the inbox."""
        self.home.upload_inbox.mkdir(parents=True, exist_ok=True)
        if files is not None:
            zip_of(self.home.upload_inbox / f"{name}.zip", files)
        path = self.home.upload_inbox / f"{name}.yaml"
        document = {**MANIFEST, "dataset_url": f"{name}.zip", "dataset_name": name, **changes}
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def take_in(self, manifest: Path) -> str:
        """Register an upload as the sensor and the command do; gives its key."""
        from factory_pipeline.orchestration.partitions import DATASETS

        arrival = validate_upload(manifest, self.home, IntakePolicy.of_home(self.home))
        if arrival.error is not None:
            raise arrival.error
        with closing(self.factory.registry()) as registry:
            register_upload(registry, arrival)
        self.instance.add_dynamic_partitions(DATASETS, [arrival.key])
        return arrival.key

    def run(self, key: str) -> "dg.ExecuteInProcessResult":
        """Run the job of one upload."""
        from factory_pipeline.definitions import defs
        from factory_pipeline.orchestration.run_lock import release_run_lock

        result = defs.resolve_job_def("onboard_dataset").execute_in_process(
            instance=self.instance,
            partition_key=key,
            run_config={"resources": {"factory": {"config": {"home": str(self.home.root)}}}},
            raise_on_error=False,
        )
        release_run_lock(self.home, result.run_id)
        return result

    def create_run(self, job: str, state: str = "STARTED", **tags: str) -> "dg.DagsterRun":
        """A run of a job in a state that no process of this test is behind."""
        import dagster as dg

        from factory_pipeline.definitions import defs

        return self.instance.create_run_for_job(
            job_def=defs.resolve_job_def(job), tags=tags, status=dg.DagsterRunStatus(state)
        )

    def fail_run(self, run: "dg.DagsterRun") -> "dg.RunStatusSensorContext":
        """Report that a run failed; gives what the sensor `onboarding_died` is called with then."""
        import dagster as dg

        self.instance.report_run_failed(run)
        [event] = [
            entry.dagster_event
            for entry in self.instance.all_logs(run.run_id)
            if entry.is_dagster_event and entry.dagster_event_type is dg.DagsterEventType.RUN_FAILURE
        ]
        return dg.build_run_status_sensor_context(
            sensor_name="onboarding_died",
            dagster_event=event,
            dagster_instance=self.instance,
            dagster_run=self.instance.get_run_by_id(run.run_id),
            resources={"factory": self.factory},
        )

    def onboard(self, name: str, files: Mapping[str, bytes] | None = None, **changes: Any) -> str:
        """Drop, take in and run an upload, which must succeed; gives its key."""
        key = self.take_in(self.drop(name, pairs(10) if files is None else files, **changes))
        assert self.run(key).success, self.upload(key).reason
        return key

    def prepare(self, name: str, files: Mapping[str, bytes] | None = None, **changes: Any) -> str:
        """As `onboard`, but without Dagster, in a third of its time: for tests of what comes after it."""
        return self.prepare_dropped(self.drop(name, pairs(10) if files is None else files, **changes))

    def prepare_dropped(self, manifest: Path) -> str:
        """Take in an upload and run its stages one after the other; gives its key."""
        key = self.take_in(manifest)
        onboarding = Onboarding(key, self.home, IntakePolicy.of_home(self.home))
        for stage in STAGES:
            stage.run(onboarding)
        with closing(self.factory.registry()) as registry:
            collect_upload(registry, self.home, key)
            registry.set_status(key, UploadStatus.SUCCEEDED)
        return key

    def upload(self, key: str) -> Upload:
        """What the registry knows of an upload."""
        with closing(self.factory.registry()) as registry:
            return registry.upload(key)

    def uploads(self) -> list[Upload]:
        """All living uploads of the registry."""
        with closing(self.factory.registry()) as registry:
            return registry.uploads()

    def tick(self, cursor: str | None) -> "dg.SensorResult":
        """One tick of the sensor of the inbox; its partitions are added as the daemon would."""
        import dagster as dg

        from factory_pipeline.orchestration.onboarding.sensors import new_uploads
        from factory_pipeline.orchestration.partitions import DATASETS

        context = dg.build_sensor_context(instance=self.instance, cursor=cursor)
        result = new_uploads(context, factory=self.factory)
        assert isinstance(result, dg.SensorResult)
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(DATASETS, list(request.partition_keys))
        return result

    def allow(self, **policy: Any) -> None:
        """Set the intake policy of the home."""
        self.home.root.mkdir(parents=True, exist_ok=True)
        self.home.intake_file.write_text(json.dumps(policy))


def requested(result: "dg.SensorResult") -> list[str]:
    """The keys for which a tick asks for a run, of their own or of a batch."""
    from factory_pipeline.orchestration.run_status import BATCH_TAG

    found: list[str] = []
    for request in result.run_requests or []:
        of_batch = request.tags.get(BATCH_TAG)
        found += of_batch.split(",") if of_batch else [str(request.partition_key)]
    return found


def bytes_below(folder: Path) -> dict[str, bytes]:
    """The files of a folder with their bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
