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
            dataset_name: not empty, and of no other dataset.
            collection_id: its name or id; see `collections`.
            split_info: percentages of `train`, `test` and `validation`, together 100.
            labels: annotations with other labels are left out; an empty list takes all labels.
            export_types: formats that are made at once.
            query: which items, in the short form (`annotation.label=Balloon`) or CQL2.
            filter: `annotation_types`, `from_date`, `to_date`, `bbox`, `geometry`.
            operation_list: ids of annotation sources; None takes all, an empty list none.
            augmentation_list: augmentations of the train split.
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
        """Make a dataset from the items of all collections.

        `item_type` says what the query chooses: `image`, `image_collection` or `dataset`. The other
        arguments are those of `create_dataset_from_collection`.
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
        """Extend a version by items of a collection: its next revision, or a new version.

        From 1.0.4, a revision is 1.0.5 and a new version 1.1.0. An item of the source version keeps its
        split, and what comes back says in `division` how many did, and what the shares are. The other
        arguments are those of `create_dataset_from_collection`.

        Args:
            dataset_version_id: its id, `name@1.0.0`, or the dataset's name for its latest version.
            collection_id: name or id; None takes items of the collections that the source version has items
                of.
            split_info: see above, as all others.
            labels: see above.
            export_types: see above.
            query: see above.
            filter: see above.
            is_new_version_required: whether the result is a new version, not a revision.
            operation_list: see above.
            augmentation_list: see above.
            keep_splits: False divides all items anew.
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
        """Extend a version by items of the whole data lake; see the calls above for the arguments."""
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
        """Bring a version in a format to this machine; makes the export first where it is not there.

        A download that was cut off goes on, every file is verified, and no file that is not of this
        download is overwritten.

        Args:
            version_id: its id, `name@1.0.0`, or the dataset's name for its latest version.
            export_type: one of `export_types()`.
            custom_download_path: an absolute path; empty means a folder of the dataset's name in the working
                directory.
            is_media_include: False brings annotations without images.

        Returns:
            The folder.
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

    def collections(self) -> list[CollectionSummary]:
        """The collections of the data lake, with their annotation sources."""
        return [CollectionSummary.model_validate(one) for one in self._factory.handle("collections")]

    def list_datasets(self) -> list[DatasetSummary]:
        """All datasets with their versions, by name."""
        return [DatasetSummary.model_validate(one) for one in self._factory.handle("datasets")]

    def describe_dataset(self, dataset: str) -> DatasetSummary:
        """One dataset, by name or id."""
        return DatasetSummary.model_validate(self._factory.handle("dataset", dataset=dataset))

    def describe_version(self, version_id: str) -> VersionSummary:
        """One version: its items by split and label, its exports, and what was asked for.

        Here and in the other calls, a version is named by its id or at least 8 digits that it begins with, as
        `name@1.0.0`, or by the dataset's name, which means its latest version.
        """
        return VersionSummary.model_validate(self._factory.handle("version", version_id=version_id))

    def compare_versions(self, version_id: str, other_version_id: str) -> Comparison:
        """What the other version has more, less or else than the first one."""
        found = self._factory.handle("compare", version_id=version_id, other_version_id=other_version_id)
        return TypeAdapter(Comparison).validate_python(found)

    def delete_version(self, version_id: str) -> None:
        """Delete a version with its exports; its number is not given again. Refused while it is read.

        The name of a dataset with several versions is not enough: name the version, as `name@1.0.0`.
        """
        self._factory.handle("delete", version_id=version_id)

    @staticmethod
    def export_types() -> tuple[str, ...]:
        """The formats of exports."""
        return tuple(FORMATS)

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
