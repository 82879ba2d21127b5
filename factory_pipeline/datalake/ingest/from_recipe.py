"""The fused files of a recipe's build as a collection: samples are items, labels are annotations."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.datalake.ingest.kept_files import file_state, keep_and_write
from factory_pipeline.datalake.ingest.point_labels import write_point_labels
from factory_pipeline.datalake.ingest.recipe_rows import LABELS, LabelRasters, are_dated, recipe_batches
from factory_pipeline.datalake.registry.records import AnnotationSource, Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import annotations_writer
from factory_pipeline.datalake.tables.items import items_writer
from factory_pipeline.errors import DatasetFileError
from factory_pipeline.hdf5.fields import PROVENANCE
from factory_pipeline.hdf5.opening import open_dataset
from factory_pipeline.hdf5.recipe_fields import LABEL
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import relative_to_home


def collect_recipe(
    registry: Registry,
    home: FactoryHome,
    recipe: DatasetRecipe,
    fused: Sequence[Path],
    times: pl.DataFrame,
    on_items: Callable[[int, int], object] = lambda *_: None,
) -> Collection:
    """Register the fused files of a build as a collection of its recipe's name.

    An operation is registered with it: masks of classes, or measured values. Without labels there is none,
    nor of labels that are profiles, several values each, which are properties of the items alone.
    If the file system supports hard links, the collection has links to the files, so that a later fuse does
    not remove its samples. The same files again are the same collection.

    Args:
        registry: the registry that it is added to.
        home: the home that its tables are written to.
        recipe: of the build, whose first source is the image for formats of a single one.
        fused: a file per split, in the order of their samples among the items.
        times: `id`, `start` and `end` of the labels (UTC), null for any time.
        on_items: called with the number of items that are written so far, and of all.

    Raises:
        DatasetFileError: a file is missing, truncated or not of this recipe.
        LakeError: a file is damaged or changed meanwhile, or its samples can't be items.
    """
    splits = [_split_of(path, recipe) for path in fused]
    states = [file_state(path) for path in fused]
    content_hash = sha256("\n".join(map(sha256_of, fused)).encode()).hexdigest()
    files = home.collection(recipe.name, content_hash)
    kept = [files.fused(split) for split in splits]
    has_labels = recipe.labels.is_raster or (recipe.labels.target is not None and not _are_profiles(fused[0]))
    # The samples determine the labels.
    of_labels = files.annotations(sha256(f"{content_hash} {LABEL}".encode()).hexdigest())
    tables = _Tables(home, files.items, files.point_labels, of_labels if has_labels else None)
    # Files that could not be linked may have been moved, and the tables must have their new paths.
    if not (tables.written and all(path.exists() for path in kept)):
        keep_and_write(fused, kept, states, lambda paths: _write(tables, recipe, paths, times, on_items))
    labels = {}
    if tables.annotations is not None:
        # Maps and shots of GEDI were made by a model or a sensor; the others were drawn or surveyed.
        is_machine = recipe.labels.kind in ("rasters", "gedi")
        made_by = AnnotationSource.MACHINE if is_machine else AnnotationSource.HUMAN
        labels[relative_to_home(tables.annotations, home)] = made_by
    return registry.add_collection(
        recipe.name,
        CollectionSource.RECIPE,
        items_path=relative_to_home(tables.items, home),
        item_count=pl.scan_parquet(tables.items).select(pl.len()).collect().item(),
        content_hash=content_hash,
        annotations=labels,
    )


@dataclass(frozen=True)
class _Tables:
    """The tables of a collection; all are written, or it is not registered."""

    home: FactoryHome
    items: Path
    points: Path
    """Labels of points as rasters; only of points."""
    annotations: Path | None
    """None without labels."""

    @property
    def written(self) -> bool:
        return self.items.exists() and (self.annotations is None or self.annotations.exists())


def _count_samples(path: Path) -> int:
    with open_dataset(path) as file:
        return len(file[f"{PROVENANCE}/Id"])


def _split_of(path: Path, recipe: DatasetRecipe) -> str:
    with open_dataset(path) as file:
        if file.attrs["recipe_hash"] != recipe.digest():
            raise DatasetFileError(f"{path} is not of the recipe {recipe.name} as it is now.")
        return str(file.attrs["split"])


def _write(
    tables: _Tables,
    recipe: DatasetRecipe,
    paths: Sequence[Path],
    times: pl.DataFrame,
    on_items: Callable[[int, int], object],
) -> None:
    done, total = 0, sum(map(_count_samples, paths))
    dated = all(are_dated(path, recipe, times) for path in paths)
    modalities = list(recipe.sources)
    with ExitStack() as open_tables:
        items = open_tables.enter_context(
            items_writer(
                tables.items,
                collection=recipe.name,
                modalities=modalities,
                dated=dated,
                credits=_credits_of(recipe),
            )
        )
        if tables.annotations is not None:
            annotations = open_tables.enter_context(annotations_writer(tables.annotations))
        for path, labels in zip(paths, _label_rasters(tables, recipe, paths), strict=True):
            for batch in recipe_batches(path, relative_to_home(path, tables.home), recipe, times, labels):
                items.append(batch.items)
                if tables.annotations is not None:
                    annotations.append(batch.annotations)
                done += batch.items.height
                on_items(done, total)
                # It need not be in memory while the next is made.
                del batch


def _credits_of(recipe: DatasetRecipe) -> dict[str, Any]:
    """Return licences and makers of the sources, as a STAC collection states them."""
    used = list(recipe.collections.values())
    licenses = {collection.license for collection in used}
    producers = dict.fromkeys(name for collection in used for name in collection.producers)
    links = dict.fromkeys((each.license_url, each.title) for each in used if each.license_url)
    return {
        "license": licenses.pop() if len(licenses) == 1 and "" not in licenses else "other",
        "providers": [{"name": name, "roles": ["producer", "licensor"]} for name in producers],
        "links": [{"rel": "license", "href": url, "title": title} for url, title in links],
    }


def _label_rasters(
    tables: _Tables, recipe: DatasetRecipe, paths: Sequence[Path]
) -> Sequence[LabelRasters | None]:
    """Return the rasters of the labels of each file; those of points are written."""
    if recipe.labels.is_raster:
        return [LabelRasters(relative_to_home(path, tables.home), LABELS) for path in paths]
    if tables.annotations is None:
        return [None] * len(paths)
    values = [_labels_of(path) for path in paths]
    hashes = write_point_labels(tables.points, recipe, np.concatenate(values))
    firsts = [sum(map(len, values[:number])) for number in range(len(values))]
    return [
        LabelRasters(relative_to_home(tables.points, tables.home), LABEL, first, hashes) for first in firsts
    ]


def _are_profiles(path: Path) -> bool:
    with open_dataset(path) as file:
        return bool(file[LABELS].shape[1:] != (1,))


def _labels_of(path: Path) -> NDArray[Any]:
    with open_dataset(path) as file:
        values: NDArray[Any] = file[LABELS][:, 0]
        return values
