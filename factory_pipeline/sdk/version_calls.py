"""What the SDK's calls have in common that make versions: each hands a DatasetRequest to the factory."""

from typing import TYPE_CHECKING, Any

from factory_pipeline.datasets.versions.summaries import VersionSummary
from factory_pipeline.errors import BuildError, RemoteError
from factory_pipeline.sdk.backend import Backend, Created, OnProgress, progress_shown

if TYPE_CHECKING:
    from factory_pipeline.datasets.request import DatasetRequest


class VersionCalls:
    """Makes the version that a request describes; `create_calls` and `update_calls` take its arguments."""

    def __init__(self, factory: Backend, on_progress: OnProgress | None) -> None:
        """Make versions in a factory.

        Args:
            factory: where versions are made.
            on_progress: is called with the progress; None shows it on the terminal.
        """
        self._factory = factory
        self._on_progress = on_progress

    def make_version(self, request: "DatasetRequest") -> Created:
        """Make the version that a request describes, as the other calls do with their arguments.

        Args:
            request: from `DatasetRequest.of`, whose fields are the arguments of the other calls. Example:
                `DatasetRequest.of(dataset_name="water", labels=[], split_info=shares)`.

        Returns:
            Ids of the dataset and of the new version, which unpack as a pair; `division` has the number of
            items by split, how many items of a source version kept their split, how many are left out, and
            whether the splits leak (`leaking_share`, `notes`).

        Raises:
            ArgumentError: an argument is not allowed, or no item matches; raised before any work starts.
            LakeError: files of a collection or of the source version are missing or broken.
            BuildError: the run failed on this machine, or an export of the version that was made; the
                message says which.
            RemoteError: the web server can't be reached, or the run failed there.

        Example:
            client.make_version(request)
        """
        self._factory.check(request)
        with progress_shown(self._on_progress) as on_progress:
            created = self._factory.create(request, on_progress)
            if request.export_types:
                answer = self._factory.handle("version", version_id=created.version_id)
                version = VersionSummary.model_validate(answer)
                for export_type in request.export_types:
                    self._export(version, export_type, on_progress)
        return created

    def _make(self, **arguments: Any) -> Created:
        """Check the arguments of a call and make the version; queries and areas are imported where needed."""
        from factory_pipeline.datasets.request import DatasetRequest

        return self.make_version(DatasetRequest.of(**arguments))

    def _export(self, version: VersionSummary, export_type: str, on_progress: OnProgress) -> None:
        """Export a version that the same call made; the error of a failure says that the version exists."""
        try:
            self._factory.export(version, export_type, on_progress)
        except (BuildError, RemoteError) as error:
            raise type(error)(
                f"{version.dataset} {version.number} was made (version {version.id}), but not its export as"
                f" {export_type}: {error}"
            ) from error
