"""The Python SDK: datasets from the data lake, their versions, and their downloads.

Every call that makes something is a Dagster run: on this machine, or on the web server that the client is
given.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from factory_pipeline.datasets.augment.config import CATEGORY
from factory_pipeline.datasets.exports.download import download, folder_name
from factory_pipeline.datasets.exports.formats import FORMATS, format_named
from factory_pipeline.datasets.versions.summaries import (
    CollectionSummary,
    Comparison,
    DatasetSummary,
    VersionSummary,
)
from factory_pipeline.datasets.versions.validate_request import validate
from factory_pipeline.errors import ArgumentError, BuildError, DamagedExportError, RemoteError
from factory_pipeline.extras import extras_named
from factory_pipeline.sdk.backend import Backend, Created, OnProgress

log = logging.getLogger(__name__)


class DatasetClient:
    """Makes datasets from collections or from the whole data lake, and brings their exports to you.

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
        """Talk to the factory of this machine, or to the one that a Dagster web server serves.

        Args:
            address: of the web server, such as `http://factory:3000` or `factory:3000`; None works in this
                process.
            home: the factory home of this machine; None is the one that FACTORY_HOME names, else
                `./factory_home`.
            on_progress: is told the progress; None shows it on the terminal.
        """
        self._factory = _factory(address, home)
        self._on_progress = on_progress

    def create_dataset_from_collection(
        self,
        dataset_name: str,
        collection_id: str,
        split_info: Mapping[str, float],
        labels: Sequence[str],
        export_types: Sequence[str] = [],
        query: str | Mapping[str, Any] = "",
        filter: Mapping[str, Any] = {},
        operation_list: Sequence[str] | None = None,
        augmentation_list: Mapping[str, Any] | None = None,
    ) -> Created:
        """Make a dataset of all or some items of a collection; its first version is 1.0.0.

        Args:
            dataset_name: name of the new dataset: not empty, and not the name of another dataset. Example:
                `"balloons"`.
            collection_id: name or id of the collection that items are taken from; `collections` lists them.
                Example: `"rivers"`.
            split_info: percentages of `train`, `test` and `validation`: all three keys, each from 0 to 100,
                the sum 100. Example: `{"train": 60, "test": 20, "validation": 20}`.
            labels: labels of the dataset, in the order of its classes; annotations with other labels are
                left out. An empty list takes all labels. Example: `["Land", "Water"]`.
            export_types: formats in which the version is exported at once; allowed are those of
                `list_export_types()`. The default exports none. Example: `["COCO", "HDF5"]`.
            query: condition on items, in the short form or as CQL2 (text, or JSON as a mapping). The
                default, an empty text, takes all items. Example: `"annotation.label=Balloon"`.
            filter: further conditions on items; all must hold. Keys, each optional: `annotation_types` (a
                list of `"raw"`, `"human"`, `"machine"`; an item must fit one), `from_date` and `to_date` (a
                day or a moment, both included), `bbox` (west, south, east, north in degrees), `geometry`
                (GeoJSON in degrees). The default is no condition. Example: `{"from_date": "2024-05-01",
                "bbox": [5.9, 45.8, 10.5, 47.8]}`.
            operation_list: ids of the annotation sources whose annotations are taken; `collections` lists
                them. None, the default, takes all, an empty list none. Example: `["3f2a9c10"]`.
            augmentation_list: augmentations of the train split; docs/augmentations.md lists the allowed ids
                and values. None, the default, makes no augmented copies. Example: `{"IMAGE_LEVEL": [{"id":
                "FLIP_IMAGE", "properties": [{"id": "FLIP_HORIZONTAL", "values": [True]}]}]}`.

        Returns:
            Ids of the dataset and of the new version, which unpack as a pair; `division` has the number of
            items by split, and how many items of a source version kept their split.

        Raises:
            ArgumentError: an argument is not allowed, or no item matches; raised before any work starts.
            LakeError: files of a collection or of the source version are missing or broken.
            BuildError: the run failed on this machine, or an export of the version that was made; the
                message says which.
            RemoteError: the web server can't be reached, or the run failed there.

        Example:
            shares = {"train": 60, "test": 20, "validation": 20}
            client.create_dataset_from_collection("balloons", "rivers", shares, labels=[])
        """
        return self._make(
            dataset_name=dataset_name,
            collection_id=collection_id,
            split_info=split_info,
            labels=labels,
            export_types=export_types,
            query=query,
            filter=filter,
            operation_list=operation_list,
            augmentation_list=augmentation_list,
        )

    def create_dataset_from_datalake(
        self,
        dataset_name: str,
        split_info: Mapping[str, float],
        labels: Sequence[str],
        export_types: Sequence[str] = [],
        item_type: str = "image",
        query: str | Mapping[str, Any] = "",
        filter: Mapping[str, Any] = {},
        operation_list: Sequence[str] | None = None,
        augmentation_list: Mapping[str, Any] | None = None,
    ) -> Created:
        """Make a dataset of items of all collections; its first version is 1.0.0.

        Args:
            dataset_name: name of the new dataset: not empty, and not the name of another dataset. Example:
                `"balloons"`.
            split_info: percentages of `train`, `test` and `validation`: all three keys, each from 0 to 100,
                the sum 100. Example: `{"train": 60, "test": 20, "validation": 20}`.
            labels: labels of the dataset, in the order of its classes; annotations with other labels are
                left out. An empty list takes all labels. Example: `["Land", "Water"]`.
            export_types: formats in which the version is exported at once; allowed are those of
                `list_export_types()`. The default exports none. Example: `["COCO", "HDF5"]`.
            item_type: what the query chooses: `"image"` (the default) takes the images that match,
                `"image_collection"` all images of the collections with an image that matches, `"dataset"`
                all images of the latest version of each dataset with an image that matches there. Example:
                `"image_collection"`.
            query: condition on items, in the short form or as CQL2 (text, or JSON as a mapping). The
                default, an empty text, takes all items. Example: `"annotation.label=Balloon"`.
            filter: further conditions on items; all must hold. Keys, each optional: `annotation_types` (a
                list of `"raw"`, `"human"`, `"machine"`; an item must fit one), `from_date` and `to_date` (a
                day or a moment, both included), `bbox` (west, south, east, north in degrees), `geometry`
                (GeoJSON in degrees). The default is no condition. Example: `{"from_date": "2024-05-01",
                "bbox": [5.9, 45.8, 10.5, 47.8]}`.
            operation_list: ids of the annotation sources whose annotations are taken; `collections` lists
                them. None, the default, takes all, an empty list none. Example: `["3f2a9c10"]`.
            augmentation_list: augmentations of the train split; docs/augmentations.md lists the allowed ids
                and values. None, the default, makes no augmented copies. Example: `{"IMAGE_LEVEL": [{"id":
                "FLIP_IMAGE", "properties": [{"id": "FLIP_HORIZONTAL", "values": [True]}]}]}`.

        Returns:
            Ids of the dataset and of the new version, which unpack as a pair; `division` has the number of
            items by split, and how many items of a source version kept their split.

        Raises:
            ArgumentError: an argument is not allowed, or no item matches; raised before any work starts.
            LakeError: files of a collection or of the source version are missing or broken.
            BuildError: the run failed on this machine, or an export of the version that was made; the
                message says which.
            RemoteError: the web server can't be reached, or the run failed there.

        Example:
            shares = {"train": 60, "test": 20, "validation": 20}
            client.create_dataset_from_datalake("water", shares, labels=["Water"])
        """
        return self._make(
            dataset_name=dataset_name,
            item_type=item_type,
            split_info=split_info,
            labels=labels,
            export_types=export_types,
            query=query,
            filter=filter,
            operation_list=operation_list,
            augmentation_list=augmentation_list,
        )

    def update_dataset_version_from_collection(
        self,
        dataset_version_id: str,
        collection_id: str | None,
        split_info: Mapping[str, float],
        labels: Sequence[str],
        export_types: Sequence[str] = [],
        query: str | Mapping[str, Any] = "",
        filter: Mapping[str, Any] = {},
        is_new_version_required: bool = False,
        operation_list: Sequence[str] | None = None,
        augmentation_list: Mapping[str, Any] | None = None,
        keep_splits: bool = True,
    ) -> Created:
        """Extend a version by items of a collection; the result is its next revision, or a new version.

        Args:
            dataset_version_id: the source version: its id or at least the first 8 digits of it,
                `name@1.0.0`, or the dataset's name for its latest version. Example: `"balloons@1.0.0"`.
            collection_id: name or id of the collection that items are taken from; None takes items of the
                collections that the source version has items of. Example: `"rivers"`.
            split_info: percentages of `train`, `test` and `validation`: all three keys, each from 0 to 100,
                the sum 100. Example: `{"train": 60, "test": 20, "validation": 20}`.
            labels: labels of the dataset, in the order of its classes; annotations with other labels are
                left out. An empty list takes all labels. Example: `["Land", "Water"]`.
            export_types: formats in which the version is exported at once; allowed are those of
                `list_export_types()`. The default exports none. Example: `["COCO", "HDF5"]`.
            query: condition on items, in the short form or as CQL2 (text, or JSON as a mapping). The
                default, an empty text, takes all items. Example: `"annotation.label=Balloon"`.
            filter: further conditions on items; all must hold. Keys, each optional: `annotation_types` (a
                list of `"raw"`, `"human"`, `"machine"`; an item must fit one), `from_date` and `to_date` (a
                day or a moment, both included), `bbox` (west, south, east, north in degrees), `geometry`
                (GeoJSON in degrees). The default is no condition. Example: `{"from_date": "2024-05-01",
                "bbox": [5.9, 45.8, 10.5, 47.8]}`.
            is_new_version_required: True makes a new version (1.0.4 becomes 1.1.0), False, the default, a
                revision (1.0.4 becomes 1.0.5).
            operation_list: ids of the annotation sources whose annotations are taken; `collections` lists
                them. None, the default, takes all, an empty list none. Example: `["3f2a9c10"]`.
            augmentation_list: augmentations of the train split; docs/augmentations.md lists the allowed ids
                and values. None, the default, makes no augmented copies. Example: `{"IMAGE_LEVEL": [{"id":
                "FLIP_IMAGE", "properties": [{"id": "FLIP_HORIZONTAL", "values": [True]}]}]}`.
            keep_splits: True, the default, keeps each item of the source version in its split; False
                assigns all splits again.

        Returns:
            Ids of the dataset and of the new version, which unpack as a pair; `division` has the number of
            items by split, and how many items of a source version kept their split.

        Raises:
            ArgumentError: an argument is not allowed, or no item matches; raised before any work starts.
            LakeError: files of a collection or of the source version are missing or broken.
            BuildError: the run failed on this machine, or an export of the version that was made; the
                message says which.
            RemoteError: the web server can't be reached, or the run failed there.

        Example:
            shares = {"train": 60, "test": 20, "validation": 20}
            client.update_dataset_version_from_collection("balloons@1.0.0", "lakes", shares, [])
        """
        within: dict[str, Any] = (
            {"within_source": True} if collection_id is None else {"collection_id": collection_id}
        )
        return self._make(
            **within,
            dataset_version_id=dataset_version_id,
            split_info=split_info,
            labels=labels,
            export_types=export_types,
            query=query,
            filter=filter,
            is_new_version_required=is_new_version_required,
            operation_list=operation_list,
            augmentation_list=augmentation_list,
            keep_splits=keep_splits,
        )

    def update_dataset_version_from_datalake(
        self,
        dataset_version_id: str,
        split_info: Mapping[str, float],
        labels: Sequence[str],
        export_types: Sequence[str] = [],
        item_type: str = "image",
        query: str | Mapping[str, Any] = "",
        filter: Mapping[str, Any] = {},
        is_new_version_required: bool = False,
        operation_list: Sequence[str] | None = None,
        augmentation_list: Mapping[str, Any] | None = None,
        keep_splits: bool = True,
    ) -> Created:
        """Extend a version by items of all collections; the result is its next revision, or a new version.

        Args:
            dataset_version_id: the source version: its id or at least the first 8 digits of it,
                `name@1.0.0`, or the dataset's name for its latest version. Example: `"balloons@1.0.0"`.
            split_info: percentages of `train`, `test` and `validation`: all three keys, each from 0 to 100,
                the sum 100. Example: `{"train": 60, "test": 20, "validation": 20}`.
            labels: labels of the dataset, in the order of its classes; annotations with other labels are
                left out. An empty list takes all labels. Example: `["Land", "Water"]`.
            export_types: formats in which the version is exported at once; allowed are those of
                `list_export_types()`. The default exports none. Example: `["COCO", "HDF5"]`.
            item_type: what the query chooses: `"image"` (the default) takes the images that match,
                `"image_collection"` all images of the collections with an image that matches, `"dataset"`
                all images of the latest version of each dataset with an image that matches there. Example:
                `"image_collection"`.
            query: condition on items, in the short form or as CQL2 (text, or JSON as a mapping). The
                default, an empty text, takes all items. Example: `"annotation.label=Balloon"`.
            filter: further conditions on items; all must hold. Keys, each optional: `annotation_types` (a
                list of `"raw"`, `"human"`, `"machine"`; an item must fit one), `from_date` and `to_date` (a
                day or a moment, both included), `bbox` (west, south, east, north in degrees), `geometry`
                (GeoJSON in degrees). The default is no condition. Example: `{"from_date": "2024-05-01",
                "bbox": [5.9, 45.8, 10.5, 47.8]}`.
            is_new_version_required: True makes a new version (1.0.4 becomes 1.1.0), False, the default, a
                revision (1.0.4 becomes 1.0.5).
            operation_list: ids of the annotation sources whose annotations are taken; `collections` lists
                them. None, the default, takes all, an empty list none. Example: `["3f2a9c10"]`.
            augmentation_list: augmentations of the train split; docs/augmentations.md lists the allowed ids
                and values. None, the default, makes no augmented copies. Example: `{"IMAGE_LEVEL": [{"id":
                "FLIP_IMAGE", "properties": [{"id": "FLIP_HORIZONTAL", "values": [True]}]}]}`.
            keep_splits: True, the default, keeps each item of the source version in its split; False
                assigns all splits again.

        Returns:
            Ids of the dataset and of the new version, which unpack as a pair; `division` has the number of
            items by split, and how many items of a source version kept their split.

        Raises:
            ArgumentError: an argument is not allowed, or no item matches; raised before any work starts.
            LakeError: files of a collection or of the source version are missing or broken.
            BuildError: the run failed on this machine, or an export of the version that was made; the
                message says which.
            RemoteError: the web server can't be reached, or the run failed there.

        Example:
            shares = {"train": 60, "test": 20, "validation": 20}
            client.update_dataset_version_from_datalake("water@1.0.0", shares, labels=[])
        """
        return self._make(
            dataset_version_id=dataset_version_id,
            item_type=item_type,
            split_info=split_info,
            labels=labels,
            export_types=export_types,
            query=query,
            filter=filter,
            is_new_version_required=is_new_version_required,
            operation_list=operation_list,
            augmentation_list=augmentation_list,
            keep_splits=keep_splits,
        )

    def download_dataset(
        self,
        version_id: str,
        export_type: str,
        custom_download_path: str | Path = "",
        is_media_include: bool = True,
    ) -> Path:
        """Download a version in a format to this machine; the export is made first where it does not exist.

        An interrupted download goes on with the same call. Every file is verified, and no file that is not
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
        asked_for = _absolute("custom_download_path", custom_download_path)
        if not isinstance(is_media_include, bool):
            raise ArgumentError("is_media_include", is_media_include, "it must be True or False")
        version = self.describe_version(version_id)
        with _told(self._on_progress) as tell:

            def on_bytes(done: int, total: int) -> None:
                tell(f"Downloading {done / 1e6:,.1f} of {total / 1e6:,.1f} MB", done / max(total, 1))

            def bring() -> Path:
                with self._factory.source(version, form.name, tell) as source:
                    target = asked_for or Path(folder_name(source)).absolute()
                    return download(source, target, media=is_media_include, on_bytes=on_bytes)

            try:
                return bring()
            except DamagedExportError as damage:
                # A factory elsewhere verifies its export when it is asked to make it.
                log.warning("The %s export is damaged and is made again: %s", form.name, damage)
                self._factory.export(version, form.name, tell)
                return bring()

    def list_collections(self) -> list[CollectionSummary]:
        """Return the collections of the data lake, with their annotation sources.

        Returns:
            One summary per collection; an empty list where the data lake has none.

        Raises:
            RemoteError: the web server can't be reached, or it answers with an error.

        Example:
            [collection.name for collection in client.list_collections()]
        """
        return [CollectionSummary.model_validate(one) for one in self._factory.handle("collections")]

    def list_datasets(self) -> list[DatasetSummary]:
        """Return all datasets with their versions, sorted by name.

        Returns:
            One summary per dataset; an empty list where there is none.

        Raises:
            RemoteError: the web server can't be reached, or it answers with an error.

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
            ArgumentError: no dataset has this name or id, or several may be meant.
            RemoteError: the web server can't be reached, or it answers with an error.

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
            ArgumentError: no such version exists, or several may be meant.
            RemoteError: the web server can't be reached, or it answers with an error.

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
            ArgumentError: no such version exists, or several may be meant.
            RemoteError: the web server can't be reached, or it answers with an error.

        Example:
            client.compare_versions("balloons@1.0.0", "balloons@1.1.0")
        """
        found = self._factory.handle("compare", version_id=version_id, other_version_id=other_version_id)
        return TypeAdapter(Comparison).validate_python(found)

    def delete_version(self, version_id: str) -> None:
        """Delete a version with its exports; its number is not used again.

        Args:
            version_id: its id or at least the first 8 digits of it, or `name@1.0.0`. The name of a dataset
                is allowed only where it has one version. Example: `"balloons@1.0.0"`.

        Raises:
            ArgumentError: no such version exists, or several may be meant.
            RegistryError: the version is being read, for example by an export or a download.
            RemoteError: the web server can't be reached, or it answers with an error.

        Example:
            client.delete_version("balloons@1.0.0")
        """
        self._factory.handle("delete", version_id=version_id)

    @staticmethod
    def list_export_types() -> tuple[str, ...]:
        """Return the names of the formats that a version can be exported in.

        Returns:
            `RAW`, `YOLO Darknet`, `Semantic Segmentation`, `COCO`, `TerraTorch`, `Croissant` and `HDF5`.

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

    def _make(self, **arguments: Any) -> Created:
        request = validate(**arguments, known_export_types=FORMATS)
        self._factory.check(_as_json(arguments))
        with _told(self._on_progress) as tell:
            created = self._factory.create(_as_json(arguments), tell)
            if request.export_types:
                version = self.describe_version(created.version_id)
                for export_type in request.export_types:
                    self._export_made(version, export_type, tell)
        return created

    def _export_made(self, version: VersionSummary, export_type: str, tell: OnProgress) -> None:
        """Export a version that was made by the same call; a failure says that the version is there."""
        try:
            self._factory.export(version, export_type, tell)
        except (BuildError, RemoteError) as error:
            raise type(error)(
                f"{version.dataset} {version.number} was made (version {version.id}), but not its export as"
                f" {export_type}: {error}"
            ) from error


def _factory(address: str | None, home: str | Path | None) -> Backend:
    # Dagster takes a second to import, which a program that only catches errors need not wait for.
    if address is not None:
        from factory_pipeline.sdk.remote import RemoteBackend

        if home is not None:
            raise ArgumentError("home", str(home), "it can't be given together with an address")
        return RemoteBackend(address)
    with extras_named():
        from factory_pipeline.sdk.local import LocalBackend
    from factory_pipeline.storage.layout import FactoryHome

    return LocalBackend(FactoryHome(Path(home).absolute()) if home else FactoryHome.from_environment())


def _as_json(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call as JSON values, as the configuration of a run holds them."""
    values = {name: value for name, value in arguments.items() if value is not None}
    query = values.get("query", "")
    values["query"] = query if isinstance(query, str) else json.dumps(query, default=_plain)
    if isinstance(values.get("augmentation_list"), list | tuple):
        values["augmentation_list"] = {CATEGORY: values["augmentation_list"]}
    return dict(json.loads(json.dumps(values, default=_plain)))


def _plain(value: Any) -> Any:
    """What JSON does not know: mappings and sets of other kinds, and numbers of numpy."""
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, Set) else float(value)


def _absolute(argument: str, path: object) -> Path | None:
    """The path that was asked for; None where it is empty."""
    if path is None or path == "":
        return None
    if isinstance(path, str | Path) and "\0" in str(path):
        raise ArgumentError(argument, str(path), "a path can't hold a NUL")
    if not isinstance(path, str | Path) or not Path(path).is_absolute():
        given = str(path) if isinstance(path, Path) else path
        raise ArgumentError(
            argument, given, "it must be an absolute path, or empty for a folder in the working directory"
        )
    return Path(path)


@contextmanager
def _told(on_progress: OnProgress | None) -> Iterator[OnProgress]:
    if on_progress is not None:
        yield on_progress
        return
    from factory_pipeline.sdk.progress_bar import ProgressLine

    with ProgressLine() as line:
        yield line.show
