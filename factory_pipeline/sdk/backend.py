"""The interface of a factory, local or remote, that the client uses."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datasets.exports.download import ExportSource
from factory_pipeline.datasets.versions.division import Division
from factory_pipeline.datasets.versions.summaries import VersionSummary

if TYPE_CHECKING:
    from factory_pipeline.datasets.request import DatasetRequest

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


def version_config(request: "DatasetRequest") -> dict[str, Any]:
    """Return the configuration of a run that makes a version: what differs from the defaults."""
    return {"ops": {"dataset_version": {"config": request.arguments()}}}


class Backend(Protocol):
    """A factory that the client uses: `local.LocalBackend`, `remote.RemoteBackend`."""

    def check(self, request: "DatasetRequest") -> None:
        """Raise an ArgumentError if `create` can't fulfil a request.

        Do nothing if only the run can check it.
        """

    def create(self, request: "DatasetRequest", on_progress: OnProgress) -> Created:
        """Create a version of a dataset.

        Args:
            request: checked by `check` before.
            on_progress: called with the step's name and what is done of it (0 to 1).
        """

    def export(self, version: VersionSummary, export_type: str, on_progress: OnProgress) -> None:
        """Write an export of a version; one that exists undamaged is kept.

        Args:
            version: of the dataset.
            export_type: name of a format, as `list_export_types` returns it.
            on_progress: as for `create`.
        """

    def source(
        self, version: VersionSummary, export_type: str, on_progress: OnProgress
    ) -> AbstractContextManager[ExportSource]:
        """Return a context manager of an export's files; the export is written first if it does not exist.

        Held against deletion where that can be.

        Args:
            version: of the dataset; where that is possible, it can't be deleted inside the block.
            export_type: name of a format, as `list_export_types` returns it.
            on_progress: as for `create`.
        """

    def import_release(self, url: str, options: ReleaseOptions, on_progress: OnProgress) -> ReleaseReport:
        """Import a release as a collection and return a report of what was decided.

        Args:
            url: address or path of the release's archive.
            options: what the release's own files do not say.
            on_progress: as for `create`.
        """

    def handle(self, call: str, **arguments: Any) -> Any:
        """Return the answer to a call that only reads, or deletes a version.

        Args:
            call: a key of `datasets.versions.read_api.HANDLERS`.
            **arguments: of that call, by name.
        """
