"""The tables of the collection that a release becomes: items, annotations, and where their rasters are."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from factory_pipeline.datalake.ingest.item_footprints import footprint_columns
from factory_pipeline.datalake.ingest.match_items import ORIGINAL_NAME
from factory_pipeline.datalake.ingest.releases.contents import Contents
from factory_pipeline.datalake.ingest.releases.decisions import Decision
from factory_pipeline.datalake.ingest.releases.documents import Splits
from factory_pipeline.datalake.ingest.releases.form import BANDS, MODALITY, RGB, MlType
from factory_pipeline.datalake.ingest.releases.georeference import Georeference
from factory_pipeline.datalake.ingest.releases.label_file import LabelFile
from factory_pipeline.datalake.ingest.releases.label_rows import LabelReader
from factory_pipeline.datalake.ingest.releases.numbers import number_type, write_number
from factory_pipeline.datalake.ingest.releases.pair_facts import read_label
from factory_pipeline.datalake.ingest.releases.problems import Problem
from factory_pipeline.datalake.registry.records import AnnotationSource, Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import AnnotationsHash, annotation_frame, annotations_writer
from factory_pipeline.datalake.tables.items import ItemsHash, items_writer, scan_items
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA, MEDIA, AnnotationType
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.folders import remove_folder
from factory_pipeline.storage.layout import FactoryHome, ReleaseFiles
from factory_pipeline.storage.relative_paths import relative_to_home, resolve

BY = AnnotationSource.HUMAN
"""Who is taken to have made the labels of a release."""
IMAGE = "image"
"""The modality of images where meta.json names none."""
_MODALITY = re.compile(r"\w[\w. -]{0,59}")
ROWS = 2_000
"""Items of a row group, with whose labels the annotations get one."""
LABELS = 100
"""Items whose labels are Python objects at once, which take ten times the memory of a table."""

Facts = Mapping[str, Any]
"""A row of FACTS."""


@dataclass(frozen=True)
class ReadRelease:
    """A release that was unpacked and read, with what was decided of it."""

    folder: Path
    """Where it was unpacked."""
    contents: Contents
    meta: Mapping[str, Any]
    """The content of meta.json; empty where there is none."""
    splits: Splits
    facts: pl.DataFrame
    """Of the pairs that are taken, in FACTS."""
    ml_type: Decision
    coordinates: Decision
    skipped: list[Problem]
    """The files that are not taken."""


@dataclass
class ReleaseTables:
    """The tables of a collection before they have the paths that their content decides."""

    name: str
    items: Path
    items_hash: str
    annotations: Path
    annotations_hash: str
    item_count: int
    items_by_split: dict[str, int]
    annotations_by_class: dict[str, int]
    polygons: int
    """Annotations that are polygons."""
    missing_numbers: int
    """Classes without a number in a regression, over all images."""

    def register(self, registry: Registry, home: FactoryHome) -> Collection:
        """Move the tables to their paths and register the collection with its labels.

        Args:
            registry: that gets the collection and its operation.
            home: whose folder of the collection gets the tables.

        Returns:
            The collection; a collection of the same name and content is returned instead of a second one.
        """
        place = home.collection(self.name, self.items_hash)
        is_known = place.root.exists()
        place.root.mkdir(parents=True, exist_ok=True)
        annotations = place.annotations(self.annotations_hash)
        labels = {relative_to_home(annotations, home): BY} if self.annotations_by_class else {}
        try:
            self.items.replace(place.items)
            if labels:
                self.annotations.replace(annotations)
            return registry.add_collection(
                self.name,
                CollectionSource.RELEASE,
                items_path=relative_to_home(place.items, home),
                item_count=self.item_count,
                content_hash=self.items_hash,
                annotations=labels,
            )
        except BaseException:
            if not is_known:
                remove_folder(place.root)
            raise


def write_tables(home: FactoryHome, files: ReleaseFiles, name: str, release: ReadRelease) -> ReleaseTables:
    """Move the images of a release to where the home keeps them, and write its tables.

    Args:
        home: the factory home.
        files: of the release in the home.
        name: of the collection.
        release: as it was read.
    """
    writer = _Writer(home, files, release)
    items_path, annotations_path = files.tables / "items.parquet", files.tables / "annotations.parquet"
    items_hash, annotations_hash = ItemsHash(), AnnotationsHash(BY)
    facts = release.facts.sort("stem")
    with (
        items_writer(
            items_path,
            collection=name,
            modalities=[writer.modality],
            dated=not facts["acquired"].null_count(),
        ) as items,
        annotations_writer(annotations_path) as annotations,
    ):
        for part in facts.iter_slices(ROWS):
            rows = writer.items(part)
            drawn = pl.concat(writer.annotations(some) for some in part.iter_slices(LABELS))
            items.append(rows)
            annotations.append(drawn)
            items_hash.update(rows)
            annotations_hash.update(drawn)
        annotations.declare_classes(writer.classes)
    return ReleaseTables(
        name=name,
        items=items_path,
        items_hash=items_hash.hexdigest(),
        annotations=annotations_path,
        annotations_hash=_with_classes(annotations_hash.hexdigest(), writer),
        item_count=facts.height,
        items_by_split={split: count for split in SPLITS if (count := writer.by_split[split])},
        annotations_by_class={each: writer.by_class[each] for each in writer.classes},
        polygons=writer.polygons,
        missing_numbers=writer.missing_numbers,
    )


def _with_classes(content_hash: str, writer: "_Writer") -> str:
    """The identity of the annotations: classes without any are known by their names alone."""
    if all(writer.by_class[each] for each in writer.classes):
        return content_hash
    return hashlib.sha256(f"{content_hash} {json.dumps(writer.classes)}".encode()).hexdigest()


def collection_in(
    registry: Registry, home: FactoryHome, folder: Path, source: CollectionSource
) -> Collection | None:
    """Return the collection of a source whose images are in a folder; None if there is none.

    Args:
        registry: deleted collections are not considered.
        home: contains the tables.
        folder: of the images.
        source: the only one that is considered.
    """
    start = f"{relative_to_home(folder, home)}/"
    for collection in registry.collections():
        path = resolve(collection.items_path, home)
        if collection.source is source and path.exists():
            media = scan_items(path).select("media").head(1).collect()["media"].explode()
            if any(medium["path"].startswith(start) for medium in media.to_list()):
                return collection
    return None


class _Writer:
    """Makes rows of the tables."""

    def __init__(self, home: FactoryHome, files: ReleaseFiles, release: ReadRelease) -> None:
        self._home = home
        self._files = files
        self._release = release
        self._reader = LabelReader(release.ml_type.value, release.coordinates.value)
        self._inside = release.folder / release.contents.root
        self._number_type = number_type(release.facts)
        first = release.facts.row(0, named=True)
        self._bands = _bands(release.meta, first)
        self._rgb = _rgb(release.meta, len(self._bands))
        stated = release.meta.get(MODALITY)
        self.modality = stated if isinstance(stated, str) and _MODALITY.fullmatch(stated) else IMAGE
        named = release.meta.get("classes")
        ordered = named if isinstance(named, list) and all(isinstance(each, str) for each in named) else []
        found = release.facts.select(
            pl.col("classes").explode(empty_as_null=False).unique(maintain_order=True)
        )
        self.classes = list(dict.fromkeys([*ordered, *found["classes"].to_list()]))
        self.by_class: Counter[str] = Counter()
        self.by_split: Counter[str] = Counter()
        self.polygons = self.missing_numbers = 0

    def items(self, facts: pl.DataFrame) -> pl.DataFrame:
        """The items of some pairs, whose images are moved to the home."""
        splits = [self._release.splits.by_stem.get(stem) for stem in facts["stem"]]
        self.by_split.update(split for split in splits if split is not None)
        placed = facts.with_columns(
            split=pl.Series(splits, dtype=pl.String),
            epsg=pl.col("crs").str.extract(r"^EPSG:(\d+)$").cast(pl.Int64),
            bounds=pl.Series(
                [_bounds(row) for row in facts.iter_rows(named=True)], dtype=pl.List(pl.Float64)
            ),
            path=pl.Series([self._move_image(row) for row in facts.iter_rows(named=True)], dtype=pl.String),
        )
        medium = pl.struct(
            pl.lit(self.modality).alias("modality"),
            "path",
            pl.lit(None).alias("member"),
            pl.lit(None).alias("row"),
            pl.lit(self._bands, pl.List(pl.String)).alias("bands"),
            pl.col("rgb") if self._rgb is None else pl.lit(self._rgb, pl.List(pl.Int64)).alias("rgb"),
            "dtype",
            "nodata",
            "sha256",
        )
        footprints = footprint_columns(
            placed.with_columns(transform=pl.when(pl.col("crs").is_not_null()).then("transform"))
        )
        return (
            placed.select(
                pl.col("stem").alias("id"),
                pl.col("acquired").alias("datetime"),
                "split",
                "width",
                "height",
                pl.col("crs").alias("proj:code"),
                pl.col("transform").alias("proj:transform"),
                pl.concat_list(medium.cast(MEDIA)).alias("media"),
                pl.coalesce("original_name", "stem").alias(ORIGINAL_NAME),
            )
            .hstack(footprints)
            .select([*ITEM_SCHEMA, ORIGINAL_NAME])
        )

    def annotations(self, facts: pl.DataFrame) -> pl.DataFrame:
        """The annotations of some pairs."""
        return annotation_frame(
            [row for each in facts.iter_rows(named=True) for row in self._image_rows(each)]
        )

    def _image_rows(self, facts: Facts) -> Iterator[dict[str, Any]]:
        """The annotations of an image."""
        labels = read_label(self._inside / facts["label"])
        size = facts["width"], facts["height"]
        found = [*self._reader.rows(facts["stem"], labels, size, _georeference(facts))]
        if self._release.ml_type.value is MlType.REGRESSION:
            found = [*self._numbers(facts, labels)]
            self.missing_numbers += len(self.classes) - len(found)
        self.by_class.update(row["label"] for row in found)
        self.polygons += sum(row["type"] == AnnotationType.POLYGON.value for row in found)
        yield from found

    def _numbers(self, facts: Facts, labels: LabelFile) -> Iterator[dict[str, Any]]:
        for name, value in labels.numbers.items():
            path, sha256 = write_number(
                self._files.numbers, name, facts["stem"], value, self._number_type, dict(facts)
            )
            yield {
                "item": facts["stem"],
                "type": AnnotationType.RASTER.value,
                "label": name,
                "raster": {
                    "path": relative_to_home(path, self._home),
                    "member": None,
                    "row": None,
                    "value": None,
                    "nodata": None,
                    "sha256": sha256,
                },
            }

    def _move_image(self, facts: Facts) -> str:
        """Move an image to where the home keeps it; its path in tables."""
        place = self._files.images / f"{facts['stem']}.tif"
        place.parent.mkdir(parents=True, exist_ok=True)
        (self._inside / facts["image"]).rename(place)
        return relative_to_home(place, self._home)


def _georeference(facts: Facts) -> Georeference | None:
    if facts["crs"] is None:
        return None
    return Georeference(facts["crs"], tuple(facts["transform"]), facts["width"], facts["height"])


def _bounds(facts: Facts) -> list[float] | None:
    """West, south, east, north in degrees, for images whose CRS has no code."""
    place = _georeference(facts)
    if place is None:
        return None
    corners = place.corners()
    if not np.isfinite(corners).all():
        return None
    (west, south), (east, north) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return [west, south, east, north]


def _bands(meta: Mapping[str, Any], first: Facts) -> list[str]:
    """Names of the bands: those of meta.json, else as the first image describes them, else by number."""
    for names in (meta.get(BANDS), first["band_names"]):
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            continue
        if len(names) == len(set(names)) == first["bands"]:
            return list(names)
    return [f"Band {number}" for number in range(first["bands"])]


def _rgb(meta: Mapping[str, Any], bands: int) -> list[int] | None:
    """Positions of red, green and blue as meta.json has them; None where it has none."""
    found = meta.get(RGB)
    if isinstance(found, list) and len(found) == 3 and all(each in range(bands) for each in found):
        return [int(each) for each in found]
    return None
