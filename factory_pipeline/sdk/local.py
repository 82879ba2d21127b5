"""The factory of this machine for the SDK: what makes something is a run of the instance of the web UI.

Dagster takes a second to import; who only reads, or catches errors, does not wait for it.
"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.datasets.exports.download import ExportSource, FolderExportSource
from factory_pipeline.datasets.exports.find_damage import find_damage
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.versions.read_api import handle
from factory_pipeline.datasets.versions.summaries import VersionSummary
from factory_pipeline.sdk.backend import Created, OnProgress, version_config
from factory_pipeline.storage.layout import FactoryHome

if TYPE_CHECKING:
    from factory_pipeline.datasets.request import DatasetRequest

log = logging.getLogger(__name__)


class LocalBackend:
    """Works in this process and in a factory home of this machine."""

    def __init__(self, home: FactoryHome) -> None:
        """Remember the home; if it does not exist, the first call raises an error."""
        self._home = home

    def check(self, request: "DatasetRequest") -> None:
        """As `Backend`."""
        self.handle("check", **request.arguments())

    def create(self, request: "DatasetRequest", on_progress: OnProgress) -> Created:
        """As `Backend`."""
        from factory_pipeline.sdk.local_run import run_job

        self._home.require_existing()
        on_progress("Choosing items", 0.0)
        said = run_job(
            self._home,
            "create_dataset_version",
            version_config(request),
            lambda fraction: on_progress("Writing items", fraction),
        )
        return Created.from_metadata(said["dataset_version"])

    def export(self, version: VersionSummary, export_type: str, on_progress: OnProgress) -> None:
        """As `Backend`."""
        from factory_pipeline.sdk.local_run import run_job

        form = format_named(export_type)
        on_progress(f"Writing {form.name}", 0.0)
        run_job(
            self._home,
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
            closing(open_registry(self._home)) as registry,
            registry.reading(version.id),
        ):
            yield FolderExportSource(folder)

    def import_release(self, url: str, options: ReleaseOptions, on_progress: OnProgress) -> ReleaseReport:
        """As `Backend`; the archive may be anywhere on this machine."""
        from factory_pipeline.runs.releases import import_release

        self._home.require_folder()
        on_progress("Importing the release", 0.0)
        return import_release(url, self._home, options)

    def handle(self, call: str, **arguments: Any) -> Any:
        """As `Backend`."""
        self._home.require_existing()
        with closing(open_registry(self._home)) as registry:
            return handle(registry, self._home, call, arguments)
