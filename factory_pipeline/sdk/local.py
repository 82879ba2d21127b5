"""The factory of this machine for the SDK: each call is a run of the instance that the web UI shows."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import dagster as dg
from dagster._core.utils import make_new_run_id

from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datasets.exports.download import ExportSource, FolderExportSource
from factory_pipeline.datasets.exports.find_damage import find_damage
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.read_api import handle
from factory_pipeline.datasets.versions.summaries import VersionSummary
from factory_pipeline.errors import ARGUMENT_ERROR, ArgumentError, BuildError
from factory_pipeline.orchestration.partitions import VERSIONS
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_progress import OnFraction, listening
from factory_pipeline.runs.build import describe_failure
from factory_pipeline.runs.instance import execute_job, open_instance, prepare_home, resources_of
from factory_pipeline.runs.releases import import_release
from factory_pipeline.sdk.backend import Created, OnProgress, version_config
from factory_pipeline.storage.layout import FactoryHome

log = logging.getLogger(__name__)


class LocalBackend:
    """Works in this process and in a factory home of this machine."""

    def __init__(self, home: FactoryHome) -> None:
        """Remember the home; if it does not exist, the first call raises an error."""
        self._home = home

    def check(self, request: DatasetRequest) -> None:
        """As `Backend`."""
        self.handle("check", **request.arguments())

    def create(self, request: DatasetRequest, on_progress: OnProgress) -> Created:
        """As `Backend`."""
        self._home.require_existing()
        on_progress("Choosing items", 0.0)
        said = self._run(
            "create_dataset_version",
            version_config(request),
            lambda fraction: on_progress("Writing items", fraction),
        )
        return Created.from_metadata(said["dataset_version"])

    def export(self, version: VersionSummary, export_type: str, on_progress: OnProgress) -> None:
        """As `Backend`."""
        form = format_named(export_type)
        on_progress(f"Writing {form.name}", 0.0)
        self._run(
            "export_version",
            {},
            lambda fraction: on_progress(f"Writing {form.name}", fraction),
            [form.asset],
            version.partition,
        )

    @contextmanager
    def source(
        self, version: VersionSummary, export_type: str, on_progress: OnProgress
    ) -> Iterator[ExportSource]:
        """As `Backend`; no process deletes the version inside the block."""
        form = format_named(export_type)
        folder = self._home.version(version.id).export(form.slug)
        difference = next(find_damage(folder), None) if form.name in version.exports else None
        if difference is not None:
            log.warning("The %s export is damaged and is written again: %s", form.name, difference)
        if form.name not in version.exports or difference is not None:
            self.export(version, form.name, on_progress)
        with (
            closing(FactoryResource(home=str(self._home.root)).registry()) as registry,
            registry.reading(version.id),
        ):
            yield FolderExportSource(folder)

    def import_release(self, url: str, options: ReleaseOptions, on_progress: OnProgress) -> ReleaseReport:
        """As `Backend`; the archive may be anywhere on this machine."""
        self._home.require_folder()
        on_progress("Importing the release", 0.0)
        return import_release(url, self._home, options)

    def handle(self, call: str, **arguments: Any) -> Any:
        """As `Backend`."""
        self._home.require_existing()
        with closing(FactoryResource(home=str(self._home.root)).registry()) as registry:
            return handle(registry, self._home, call, arguments)

    def _run(
        self,
        job: str,
        config: Mapping[str, Any],
        on_fraction: OnFraction,
        assets: Sequence[str] = (),
        partition: str | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Run a job in this process and return the metadata of its assets.

        An error of the listener ends the run and is raised again.

        Raises:
            ArgumentError: a step found that an argument is not allowed.
            BuildError: it failed; the message is what the failed step said.
        """
        from factory_pipeline.definitions import defs

        self._home.require_existing()
        prepare_home(self._home)
        run_id, raised = make_new_run_id(), []

        def listen(fraction: float) -> None:
            try:
                on_fraction(fraction)
            except BaseException as error:
                raised.append(error)
                raise

        with open_instance(self._home) as instance, listening(run_id, listen):
            if partition is not None:
                instance.add_dynamic_partitions(VERSIONS, [partition])
            result = execute_job(
                defs.resolve_job_def(job),
                instance,
                {**config, **resources_of(self._home)},
                asset_selection=[dg.AssetKey(name) for name in assets] or None,
                partition_key=partition,
                run_id=run_id,
            )
        if raised:
            raise raised[0]
        if not result.success:
            raise _argument_error(result) or BuildError(describe_failure(result))
        return {
            event.step_materialization_data.materialization.asset_key.to_user_string(): {
                label: value.value
                for label, value in event.step_materialization_data.materialization.metadata.items()
            }
            for event in result.get_asset_materialization_events()
        }


def _argument_error(result: dg.ExecuteInProcessResult) -> ArgumentError | None:
    """The error of an argument that made a step of a run fail, such as one that was deleted meanwhile."""
    for event in result.all_events:
        said = event.step_failure_data.user_failure_data if event.is_step_failure else None
        if said is not None and ARGUMENT_ERROR in said.metadata:
            return ArgumentError(**dict(said.metadata[ARGUMENT_ERROR].value))  # type: ignore[arg-type]
    return None
