"""Making a version: choosing its items, dividing them, writing its manifest, and saying that it is ready.

Whatever fails on the way leaves neither files nor an entry in the registry.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import polars as pl

from factory_pipeline.datalake.registry.records import Version, VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.versions.assign_splits import Division
from factory_pipeline.datasets.versions.manifest import write_manifest
from factory_pipeline.datasets.versions.manifest_rows import manifest_rows
from factory_pipeline.datasets.versions.plan import planned_version
from factory_pipeline.datasets.versions.request import VersionRequest
from factory_pipeline.storage.layout import FactoryHome, VersionFiles
from factory_pipeline.storage.relative_paths import relative_to_home

Progress = Callable[[int, int], None]
"""Told how many items of how many are written."""


def create_version(
    registry: Registry,
    home: FactoryHome,
    request: VersionRequest,
    on_progress: Progress | None = None,
    check: Callable[[Path], None] | None = None,
    on_divided: Callable[[Division], object] | None = None,
) -> Version:
    """Make the first version of a dataset, or the next one from its source version.

    An update holds the items of the source version and those that are chosen. What the source version has
    stays in its split, unless the request divides anew, and keeps its name. An item of it that is chosen
    again has the annotations that the new request asks for; another one keeps those it has, as far as their
    labels are still asked for, and gets those of labels that the source version did not have.

    Args:
        registry: where the version is registered.
        home: holds the lake and the version.
        request: what is asked for.
        on_progress: is told how far it is.
        check: is given the manifest before the version is made; what it raises leaves nothing.
        on_divided: is told what became of the splits of the items, once the version is made.

    Raises:
        ArgumentError: a collection, operation, label or version is not there, or no item matches.
        LakeError: a table of the lake is missing or broken.
        RegistryError: the name is taken, or the source version is on its way out.
    """
    with (
        planned_version(registry, home, request) as plan,
        _begin_version(registry, plan.request) as version,
        _written(registry, home, version) as files,
    ):
        sweep_unfinished(registry, home)
        rows = manifest_rows(plan.items, plan.collections, plan.annotations)
        header = write_manifest(
            files.manifest,
            _told(rows, plan.items.height, on_progress),
            plan.request.labels,
            [each.as_json() for each in plan.request.augmentations],
        )
        if check is not None:
            check(files.manifest)
        ready = registry.finish_version(
            version.id,
            manifest_path=relative_to_home(files.manifest, home),
            content_hash=header.content_hash,
            collections=plan.holds,
        )
        if on_divided is not None:
            on_divided(plan.division)
    return ready


def sweep_unfinished(registry: Registry, home: FactoryHome) -> None:
    """Remove what killed writers left: folders marked as unfinished of versions that the registry lacks."""
    # A version is in the registry before its folder is made, so the folders must be listed first.
    folders = list(home.versions.glob("*")) if home.versions.exists() else []
    unfinished = [folder for folder in folders if home.version(folder.name).unfinished.exists()]
    known = registry.version_ids() if unfinished else set()
    for folder in unfinished:
        if folder.name not in known:
            shutil.rmtree(folder, ignore_errors=True)


def _begin_version(registry: Registry, request: VersionRequest) -> AbstractContextManager[Version]:
    if request.source_version_id is None:
        return registry.create_dataset(request.dataset_name or "", request.as_json())
    return registry.new_version(
        request.source_version_id, request.as_json(), revision=not request.is_new_version_required
    )


@contextmanager
def _written(registry: Registry, home: FactoryHome, version: Version) -> Iterator[VersionFiles]:
    """The folder of a version, which is removed unless the version is ready at the end."""
    files = home.version(version.id)
    files.root.mkdir(parents=True)
    files.unfinished.touch()
    try:
        yield files
    except BaseException:
        # Where the registry does not answer, the mark stays, and the next writer sweeps.
        if registry.version(version.id).state is not VersionState.READY:
            shutil.rmtree(files.root, ignore_errors=True)
        raise
    files.unfinished.unlink()


def _told(chunks: Iterator[pl.DataFrame], count: int, on_progress: Progress | None) -> Iterator[pl.DataFrame]:
    done = 0
    for chunk in chunks:
        yield chunk
        done += chunk.height
        if on_progress is not None:
            on_progress(done, count)
