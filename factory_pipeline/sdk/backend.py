"""What the client needs of a factory, wherever that is."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, Self

from factory_pipeline.datasets.exports.download import ExportSource
from factory_pipeline.datasets.versions.assign_splits import Division
from factory_pipeline.datasets.versions.summaries import VersionSummary

OnProgress = Callable[[str, float], object]
"""Is told a step and how far it is, 0 to 1."""


class Ids(NamedTuple):
    """The ids of a dataset and of a version of it."""

    dataset_id: str
    version_id: str


class Created(Ids):
    """What a call has made: a pair of ids, and what became of the splits of the items."""

    division: Division

    @classmethod
    def told_by(cls, said: Mapping[str, Any]) -> Self:
        """Read the metadata of the asset `dataset_version`."""
        created = cls(said["dataset id"], said["version id"])
        division = said["division"]
        created.division = Division(**(json.loads(division) if isinstance(division, str) else division))
        return created


class Backend(Protocol):
    """A factory that the client talks to: `local.LocalFactory`, `remote.RemoteFactory`."""

    def check(self, arguments: Mapping[str, Any]) -> None:
        """See that `create` can do what the arguments ask; one that can only tell by trying does nothing."""

    def create(self, arguments: Mapping[str, Any], on_progress: OnProgress) -> Created:
        """Make a version; the arguments are those of the call as JSON values, checked already."""

    def export(self, version: VersionSummary, export_type: str, on_progress: OnProgress) -> None:
        """Make an export of a version."""

    def source(
        self, version: VersionSummary, export_type: str, on_progress: OnProgress
    ) -> AbstractContextManager[ExportSource]:
        """Where an export lies, made first where it is not there; held against deletion where that can be."""

    def handle(self, call: str, **arguments: Any) -> Any:
        """What `versions.calls.answer` says."""
