"""The interface of a factory, local or remote, that the client uses."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol, Self

from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datasets.exports.download import ExportSource
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.division import Division
from factory_pipeline.datasets.versions.summaries import VersionSummary

OnProgress = Callable[[str, float], object]
"""Called with a step and its progress, 0 to 1."""


class Ids(NamedTuple):
    """The ids of a dataset and of a version of it."""

    dataset_id: str
    version_id: str


class Created(Ids):
    """The result of a call: a pair of ids, and how the items were divided."""

    division: Division

    @classmethod
    def from_metadata(cls, said: Mapping[str, Any]) -> Self:
        """Read the metadata of the asset `dataset_version`."""
        created = cls(said["dataset id"], said["version id"])
        division = said["division"]
        created.division = Division(**(json.loads(division) if isinstance(division, str) else division))
        return created


@contextmanager
def progress_shown(on_progress: OnProgress | None) -> Iterator[OnProgress]:
    """Yield the callable for progress: the caller's own, or a line on the terminal for None."""
    if on_progress is not None:
        yield on_progress
        return
    # A program with its own progress display needs no terminal library.
    from factory_pipeline.sdk.progress_bar import ProgressLine

    with ProgressLine() as line:
        yield line.show


def version_config(request: DatasetRequest) -> dict[str, Any]:
    """Return the configuration of a run that makes a version: what differs from the defaults."""
    return {"ops": {"dataset_version": {"config": request.arguments()}}}


class Backend(Protocol):
    """A factory that the client uses: `local.LocalBackend`, `remote.RemoteBackend`."""

    def check(self, request: DatasetRequest) -> None:
        """Raise an ArgumentError if `create` can't fulfil a request.

        Do nothing if only the run can check it.
        """

    def create(self, request: DatasetRequest, on_progress: OnProgress) -> Created:
        """Make a version."""

    def export(self, version: VersionSummary, export_type: str, on_progress: OnProgress) -> None:
        """Make an export of a version."""

    def source(
        self, version: VersionSummary, export_type: str, on_progress: OnProgress
    ) -> AbstractContextManager[ExportSource]:
        """Return where an export is, made first where it is not there.

        Held against deletion where that can be.
        """

    def import_release(self, url: str, options: ReleaseOptions, on_progress: OnProgress) -> ReleaseReport:
        """Make a collection of a release and return what was decided."""

    def handle(self, call: str, **arguments: Any) -> Any:
        """Return what `versions.calls.answer` says."""
