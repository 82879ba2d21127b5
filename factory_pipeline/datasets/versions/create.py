"""Creating a version: choosing its items, dividing them, writing its manifest, and marking it as ready.

A failure leaves neither files nor an entry in the registry.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import polars as pl

from factory_pipeline.datalake.registry.records import Version, VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.request import DatasetRequest
from factory_pipeline.datasets.versions.division import Division
from factory_pipeline.datasets.versions.manifest import write_manifest
from factory_pipeline.datasets.versions.manifest_rows import manifest_rows
from factory_pipeline.datasets.versions.plan import plan_version
from factory_pipeline.errors import LakeError
from factory_pipeline.storage.folders import remove_folder
from factory_pipeline.storage.layout import FactoryHome, VersionFiles
from factory_pipeline.storage.relative_paths import relative_to_home

Progress = Callable[[int, int], None]
"""Called with the number of items written and their total."""


def create_version(
    registry: Registry,
    home: FactoryHome,
    request: DatasetRequest,
    on_progress: Progress | None = None,
    check: Callable[[Path], None] | None = None,
    on_divided: Callable[[Division], object] | None = None,
) -> Version:
    """Create the first version of a dataset, or the next one from its source version.

    An update contains the items of the source version and those that are chosen. Items of the source version
    keep their split, unless the request divides them again, and their names. If one is chosen again it has
    the annotations that the new request selects; another one keeps its annotations whose labels are still
    requested, and gets those of labels that the source version did not have.

    Args:
        registry: the registry that the version is added to.
        home: contains the data lake and the version.
        request: the request.
        on_progress: called with the progress.
        check: called with the manifest before the version is finished; if it raises an error, nothing is
            stored.
        on_divided: called with the result of dividing the items, after the version is finished.

    Raises:
        ArgumentError: a collection, operation, label or version does not exist, or no item matches.
        LakeError: a table of the data lake is missing or damaged.
        RegistryError: the name is in use, or the source version is being deleted.
    """
    with (
        plan_version(registry, home, request) as plan,
        _begin_version(registry, plan.request) as version,
        _version_folder(registry, home, version) as files,
    ):
        sweep_unfinished(registry, home)
        rows = manifest_rows(plan.items, plan.collections, plan.annotations)
        header = write_manifest(
            files.manifest,
            _report_chunks(rows, plan.items.height, on_progress),
            tuple(plan.request.labels),
            [each.as_json() for each in plan.request.augmentations],
        )
        if check is not None:
            check(files.manifest)
        record = plan.splits.record(plan.left_out)
        if record.breaks_promise:
            raise LakeError(f"The version was not made, because its splits would leak: {record.found}")
        record.write(files.splits)
        ready = registry.finish_version(
            version.id,
            manifest_path=relative_to_home(files.manifest, home),
            content_hash=header.content_hash,
            collections=plan.holds,
        )
        if on_divided is not None:
            on_divided(plan.splits.division(record))
    return ready


def sweep_unfinished(registry: Registry, home: FactoryHome) -> None:
    """Remove the folders of killed writers: marked as unfinished, and without a version in the registry.

    The mark of a version that became ready before its writer was killed is removed.

    Args:
        registry: contains the versions that are being written.
        home: whose `versions` folder is swept.
    """
    # A version is in the registry before its folder is made, so the folders must be listed first.
    folders = list(home.versions.glob("*")) if home.versions.exists() else []
    unfinished = [folder for folder in folders if home.version(folder.name).unfinished.exists()]
    known = registry.version_ids() if unfinished else set()
    for folder in unfinished:
        if folder.name not in known:
            remove_folder(folder)
        elif registry.version(folder.name).state is VersionState.READY:
            home.version(folder.name).unfinished.unlink(missing_ok=True)


def _begin_version(registry: Registry, request: DatasetRequest) -> AbstractContextManager[Version]:
    if request.dataset_version_id is None:
        return registry.create_dataset(request.dataset_name or "", request.model_dump(mode="json"))
    return registry.new_version(
        request.dataset_version_id,
        request.model_dump(mode="json"),
        revision=not request.is_new_version_required,
    )


@contextmanager
def _version_folder(registry: Registry, home: FactoryHome, version: Version) -> Iterator[VersionFiles]:
    """Yield the folder of a version, which is removed unless the version is ready at the end."""
    files = home.version(version.id)
    files.root.mkdir(parents=True)
    files.unfinished.touch()
    try:
        yield files
    except BaseException:
        # If the registry does not respond, the marker stays, and the next writer removes the folder.
        if registry.version(version.id).state is not VersionState.READY:
            remove_folder(files.root)
        raise
    files.unfinished.unlink()


def _report_chunks(
    chunks: Iterator[pl.DataFrame], count: int, on_progress: Progress | None
) -> Iterator[pl.DataFrame]:
    done = 0
    for chunk in chunks:
        yield chunk
        done += chunk.height
        if on_progress is not None:
            on_progress(done, count)
