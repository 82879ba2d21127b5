"""The Python SDK: datasets from the data lake, their versions, and their downloads.

Every call that makes something is a Dagster run: on this machine, or on the web server that the client is
given.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter

from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datasets.exports.download import (
    ExportSource,
    OnBytes,
    download,
    download_archive,
    folder_name,
)
from factory_pipeline.datasets.exports.formats import FORMATS, format_named
from factory_pipeline.datasets.versions.summaries import (
    CollectionSummary,
    Comparison,
    DatasetSummary,
    VersionSummary,
)
from factory_pipeline.errors import ArgumentError, DamagedExportError
from factory_pipeline.extras import extras_named
from factory_pipeline.sdk.backend import Backend, OnProgress, progress_shown
from factory_pipeline.sdk.create_calls import CreateCalls
from factory_pipeline.sdk.update_calls import UpdateCalls

log = logging.getLogger(__name__)


class DatasetClient(CreateCalls, UpdateCalls):
    """Creates datasets from collections or from the full data lake, and downloads their exports.

    All calls raise `factory_pipeline.errors.FactoryError`; an argument that is not allowed raises its
    `ArgumentError` before any work starts, with the argument's name, its value and what is allowed.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        home: str | Path | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Use the factory of this machine, or the one behind a Dagster web server.

        Args:
            address: of the web server, such as `http://factory:3000` or `factory:3000`; None works in this
                process.
            home: the factory home of this machine; None is the one that FACTORY_HOME names, else
                `./factory_home`.
            on_progress: called with a step and its progress, 0 to 1; None shows it on the terminal.
        """
        super().__init__(_factory(address, home), on_progress)

    def download_dataset(
        self,
        version_id: str,
        export_type: str,
        custom_download_path: str | Path = "",
        is_media_include: bool = True,
    ) -> Path:
        """Download a version in a format to this machine; the export is made first where it does not exist.

        An interrupted download is resumed by the same call. Every file is verified, and no file that is not
        of this download is overwritten.

        Args:
            version_id: its id or at least the first 8 digits of it, `name@1.0.0`, or the dataset's name for
                its latest version. Example: `"balloons@1.0.0"`.
            export_type: a format; allowed are those of `list_export_types()`. Example: `"COCO"`.
            custom_download_path: absolute path of the folder, which must not exist, be empty or hold an
                earlier download of the same export. The default, an empty text, is a folder
                `DATASET-VERSION-EXPORT_TYPE` in the working directory. Example: `"/data/balloons"`.
            is_media_include: True, the default, downloads annotations and images; False annotations without
                images.

        Returns:
            Absolute path of the folder.

        Raises:
            ArgumentError: an argument is not allowed, or no such version exists.
            DownloadError: the folder holds other files or can't be written, or a file does not verify.
            ExportError: the version can't be written in this format.
            BuildError: the run of the export failed on this machine.
            RemoteError: the web server can't be reached, or the run failed there.

        Example:
            client.download_dataset("balloons", "COCO", "/data/balloons")
        """
        form = format_named(export_type, argument="export_type")
        asked_for = _make_absolute("custom_download_path", custom_download_path)
        if not isinstance(is_media_include, bool):
            raise ArgumentError("is_media_include", is_media_include, "it must be True or False")

        def bring(source: ExportSource, on_bytes: OnBytes) -> Path:
            target = asked_for or Path(folder_name(source)).absolute()
            return download(source, target, media=is_media_include, on_bytes=on_bytes)

        return self._download(self.describe_version(version_id), form.name, bring)

    def download_release(
        self, version_id: str, path: str | Path, label_coordinates: str = "geographic"
    ) -> Path:
        """Write a version as a release: one tar.gz of GeoTIFF images and GeoJSON labels.

        An interrupted download is resumed by the same call. The archive is verified, and no other file is
        overwritten.

        Args:
            version_id: its id or at least the first 8 digits of it, `name@1.0.0`, or the dataset's name for
                its latest version. Example: `"balloons@1.0.0"`.
            path: absolute path of the archive. Example: `"/data/balloons-1.0.0.tar.gz"`.
            label_coordinates: of labels on georeferenced images: `"geographic"` (the default) for longitude
                and latitude in degrees, or `"pixel"`, which pyveda's readers expect. Example: `"pixel"`.

        Returns:
            Absolute path of the archive.

        Raises:
            ArgumentError: an argument is not allowed, or no such version exists.
            DownloadError: the archive can't be written, is another file, or does not verify.
            ExportError: a release can't hold the version.
            BuildError: the run of the export failed on this machine.
            RemoteError: the web server can't be reached, or the run failed there.

        Example:
            client.download_release("balloons", "/data/balloons-1.0.0.tar.gz")
        """
        formats = {"geographic": "Release", "pixel": "Release Pixels"}
        if label_coordinates not in formats:
            allowed = "it must be 'geographic' or 'pixel'"
            raise ArgumentError("label_coordinates", label_coordinates, allowed)
        target = _make_absolute("path", path)
        if target is None:
            raise ArgumentError("path", path, "it must be the absolute path of a file")
        version = self.describe_version(version_id)
        return self._download(
            version,
            formats[label_coordinates],
            lambda source, on_bytes: download_archive(source, target, on_bytes=on_bytes),
        )

    def import_release(
        self,
        url: str | Path,
        name: str | None = None,
        mltype: str | None = None,
        label_coordinates: str | None = None,
        skip_invalid: bool = False,
    ) -> ReleaseReport:
        """Import a release, an archive of images and GeoJSON labels, as a collection of the data lake.

        The same release again gives the same collection.

        Args:
            url: address of the archive, or its absolute path on the machine of the factory. Example:
                `"https://example.com/forests-1.0.0.tar.gz"`.
            name: of the collection; by default the name in the release's meta.json, or that of the archive.
                Example: `"forests"`.
            mltype: what labels are for, where meta.json does not say: `"classification"`, `"segmentation"`,
                `"object_detection"` or `"regression"`; by default inferred from the labels. Example:
                `"segmentation"`.
            label_coordinates: what the coordinates of labels are, `"geographic"` or `"pixel"`; by default
                found out. Example: `"pixel"`.
            skip_invalid: whether to import without the pairs that can't be read; False by default.

        Returns:
            What was found and decided, with the name of the collection; `str()` makes a text of it. A factory
            elsewhere sends at most 50 sentences of each kind.

        Raises:
            ArgumentError: an argument is not allowed.
            OnboardingError: the release can't be imported on this machine; the message says why.
            RemoteError: the web server can't be reached, or the import failed there.

        Example:
            client.import_release("/data/forests-1.0.0.tar.gz", name="forests").classes
        """
        if not isinstance(url, str | Path) or ("://" not in str(url) and not Path(url).is_absolute()):
            allowed = "it must be an address, or the absolute path of an archive"
            raise ArgumentError("url", str(url), allowed)
        options = ReleaseOptions.of(name, mltype, label_coordinates, skip_invalid=skip_invalid)
        with progress_shown(self._on_progress) as on_progress:
            return self._factory.import_release(str(url), options, on_progress)

    def list_collections(self) -> list[CollectionSummary]:
        """Return the collections of the data lake, with their annotation sources.

        Returns:
            One summary per collection; an empty list if the data lake has none.

        Raises:
            RemoteError: the web server can't be reached, or it responds with an error.

        Example:
            [collection.name for collection in client.list_collections()]
        """
        return [CollectionSummary.model_validate(one) for one in self._factory.handle("collections")]

    def list_datasets(self) -> list[DatasetSummary]:
        """Return all datasets with their versions, sorted by name.

        Returns:
            One summary per dataset; an empty list if there is none.

        Raises:
            RemoteError: the web server can't be reached, or it responds with an error.

        Example:
            [dataset.name for dataset in client.list_datasets()]
        """
        return [DatasetSummary.model_validate(one) for one in self._factory.handle("datasets")]

    def describe_dataset(self, dataset: str) -> DatasetSummary:
        """Return one dataset with its versions.

        Args:
            dataset: its name or id. Example: `"balloons"`.

        Returns:
            The summary of the dataset.

        Raises:
            ArgumentError: no dataset has this name or id, or several match.
            RemoteError: the web server can't be reached, or it responds with an error.

        Example:
            client.describe_dataset("balloons")
        """
        return DatasetSummary.model_validate(self._factory.handle("dataset", dataset=dataset))

    def describe_version(self, version_id: str) -> VersionSummary:
        """Return one version: its items by split and label, its exports, and the request that made it.

        Args:
            version_id: its id or at least the first 8 digits of it, `name@1.0.0`, or the dataset's name for
                its latest version. Example: `"balloons@1.0.0"`.

        Returns:
            The summary of the version.

        Raises:
            ArgumentError: no such version exists, or several match.
            RemoteError: the web server can't be reached, or it responds with an error.

        Example:
            client.describe_version("balloons@1.0.0")
        """
        return VersionSummary.model_validate(self._factory.handle("version", version_id=version_id))

    def compare_versions(self, version_id: str, other_version_id: str) -> Comparison:
        """Return what the other version has more, less or different than the first one.

        Args:
            version_id: the first version: its id or at least the first 8 digits of it, `name@1.0.0`, or the
                dataset's name for its latest version. Example: `"balloons@1.0.0"`.
            other_version_id: the version that is compared with it, named in the same ways. Example:
                `"balloons@1.1.0"`.

        Returns:
            The comparison: items, labels and splits that were added, removed or changed.

        Raises:
            ArgumentError: no such version exists, or several match.
            RemoteError: the web server can't be reached, or it responds with an error.

        Example:
            client.compare_versions("balloons@1.0.0", "balloons@1.1.0")
        """
        found = self._factory.handle("compare", version_id=version_id, other_version_id=other_version_id)
        return TypeAdapter(Comparison).validate_python(found)

    def delete_version(self, version_id: str) -> None:
        """Delete a version with its exports; its number is not used again.

        Args:
            version_id: its id or at least the first 8 digits of it, or `name@1.0.0`. The name of a dataset is
                allowed only if it has one version. Example: `"balloons@1.0.0"`.

        Raises:
            ArgumentError: no such version exists, or several match.
            RegistryError: the version is being read, for example by an export or a download.
            RemoteError: the web server can't be reached, or it responds with an error.

        Example:
            client.delete_version("balloons@1.0.0")
        """
        self._factory.handle("delete", version_id=version_id)

    @staticmethod
    def list_export_types() -> tuple[str, ...]:
        """Return the names of the formats that a version can be exported in.

        Returns:
            `RAW`, `YOLO Darknet`, `Semantic Segmentation`, `COCO`, `TerraTorch`, `Croissant`, `HDF5`,
            `Parquet`, `WebDataset`, `HF`, `Zarr`, `LitData`, `Release` and `Release Pixels`.

        Example:
            DatasetClient.list_export_types()
        """
        return tuple(FORMATS)

    def collections(self) -> list[CollectionSummary]:
        """Return what `list_collections` does; the name of 0.1, for one release."""
        return self.list_collections()

    @staticmethod
    def export_types() -> tuple[str, ...]:
        """Return what `list_export_types` does; the name of 0.1, for one release."""
        return DatasetClient.list_export_types()

    def _download(
        self, version: VersionSummary, export_type: str, bring: Callable[[ExportSource, OnBytes], Path]
    ) -> Path:
        """Download an export, which is written first if it does not exist or is damaged."""
        with progress_shown(self._on_progress) as on_progress:

            def on_bytes(done: int, total: int) -> None:
                on_progress(f"Downloading {done / 1e6:,.1f} of {total / 1e6:,.1f} MB", done / max(total, 1))

            def brought() -> Path:
                with self._factory.source(version, export_type, on_progress) as source:
                    return bring(source, on_bytes)

            try:
                return brought()
            except DamagedExportError as damage:
                # A remote factory verifies its export when the export is requested.
                log.warning("The %s export is damaged and is written again: %s", export_type, damage)
                self._factory.export(version, export_type, on_progress)
                return brought()


def _factory(address: str | None, home: str | Path | None) -> Backend:
    # A program that only catches errors need not wait for the database's packages.
    if address is not None:
        from factory_pipeline.sdk.remote import RemoteBackend

        if home is not None:
            raise ArgumentError("home", str(home), "it can't be combined with an address")
        return RemoteBackend(address)
    with extras_named():
        from factory_pipeline.sdk.local import LocalBackend
    from factory_pipeline.storage.layout import FactoryHome

    return LocalBackend(FactoryHome.at(home) if home else FactoryHome.from_environment())


def _make_absolute(argument: str, path: object) -> Path | None:
    """Return the path that was requested; None if it is empty."""
    if path is None or path == "":
        return None
    if isinstance(path, str | Path) and "\0" in str(path):
        raise ArgumentError(argument, str(path), "a path can't contain a NUL")
    if not isinstance(path, str | Path) or not Path(path).is_absolute():
        given = str(path) if isinstance(path, Path) else path
        raise ArgumentError(
            argument, given, "it must be an absolute path, or empty for a folder in the working directory"
        )
    return Path(path)
