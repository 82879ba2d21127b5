"""What the client needs of a factory, wherever that is."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from factory_pipeline.exports.download import ExportSource
from factory_pipeline.versions.describe import VersionSummary

OnProgress = Callable[[str, float], object]
"""Is told a step and how far it is, 0 to 1."""


class Created(NamedTuple):
    """What a call has made."""

    dataset_id: str
    version_id: str


class Factory(Protocol):
    """A factory that the client talks to: `local.LocalFactory`, `remote.RemoteFactory`."""

    def create(self, arguments: Mapping[str, Any], on_progress: OnProgress) -> Created:
        """Make a version; the arguments are those of the call as JSON values, checked already."""

    def export(self, version: VersionSummary, export_type: str, on_progress: OnProgress) -> None:
        """Make an export of a version."""

    def source(
        self, version: VersionSummary, export_type: str, on_progress: OnProgress
    ) -> AbstractContextManager[ExportSource]:
        """Where an export lies, made first where it is not there; held against deletion where that can be."""

    def answer(self, call: str, **arguments: Any) -> Any:
        """What `versions.calls.answer` says."""
