"""An onboarded upload as a collection: its images are the items, its labels are one operation by people."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from factory_pipeline.datalake.ingest.item_footprints import footprint_columns
from factory_pipeline.datalake.ingest.match_items import ORIGINAL_NAME
from factory_pipeline.datalake.ingest.read_raster import map_files, nodata_of
from factory_pipeline.datalake.ingest.upload_labels import label_annotations, measured_quantity
from factory_pipeline.datalake.registry.records import AnnotationSource, Collection, CollectionSource
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.tables.annotations import AnnotationsHash, annotations_writer
from factory_pipeline.datalake.tables.items import ItemsHash, items_writer
from factory_pipeline.datalake.tables.schemas import MEDIA, METADATA_PREFIX
from factory_pipeline.errors import LakeError
from factory_pipeline.imagery.row_frames import slices
from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL
from factory_pipeline.onboarding.checks.prescan import prefill
from factory_pipeline.onboarding.checks.prescan_files import load_report
from factory_pipeline.onboarding.file_changes import FileChanges
from factory_pipeline.onboarding.manifest.model import Purpose, UploadManifest
from factory_pipeline.onboarding.manifest.sections import DataSource
from factory_pipeline.onboarding.received_upload import load_manifest
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.storage.folders import remove_folder
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.parquet import ParquetBatches
from factory_pipeline.storage.relative_paths import relative_to_home, resolve
from factory_pipeline.storage.upload_files import UploadFiles

BY = AnnotationSource.HUMAN
"""The annotation source that is assumed for the labels of an upload."""
ORIGINAL = "original_name"
LABEL_MEAN = f"{METADATA_PREFIX}label_mean"
"""Property of the items of a regression: the mean of the valid values of their label."""
PICTURES = ("PNG", "JPEG")
"""Formats whose first bands are red, green and blue."""


def collect_upload(registry: Registry, home: FactoryHome, key: str) -> Collection:
    """Register an onboarded upload as a collection of its name, and its labels as an operation.

    Segmentation has a mask per class and label, Regression a raster of values, Classification a rectangle
    around the full image per class of its label; Generic has masks if the manifest has categories, else
    rasters. The same upload again is the same collection.

    Args:
        registry: the registry that it is added to.
        home: contains the upload.
        key: `name@version`.

    Raises:
        LakeError: the onboarding of the upload is not finished.
    """
    files = home.upload(key)
    if not files.finished.root.exists():
        raise LakeError(
            f"The upload {key} is not onboarded completely; finish its onboarding to register it as a"
            " collection."
        )
    # One process at a time works on an upload, so existing files were left by a killed process.
    folder = home.collections / f".{key}.part"
    remove_folder(folder)
    try:
        written = _write(folder, files, home, key)
        stored = home.collection(written.name, written.items_hash)
        stored.root.mkdir(parents=True, exist_ok=True)
        if written.thumbnails.exists():
            written.thumbnails.replace(stored.thumbnails)
        written.items.replace(stored.items)
        labels = {}
        if written.annotation_count:
            annotations = stored.annotations(written.annotations_hash)
            written.annotations.replace(annotations)
            labels[relative_to_home(annotations, home)] = BY
        return registry.add_collection(
            written.name,
            CollectionSource.UPLOAD,
            items_path=relative_to_home(stored.items, home),
            item_count=written.item_count,
            content_hash=written.items_hash,
            annotations=labels,
        )
    finally:
        remove_folder(folder)


@dataclass(frozen=True)
class _Written:
    """The tables of a collection before they are moved to the paths that depend on their content."""

    name: str
    items: Path
    items_hash: str
    item_count: int
    annotations: Path
    annotations_hash: str
    annotation_count: int
    thumbnails: Path
    """Absent for an upload of a release that made none."""


def _write(folder: Path, files: UploadFiles, home: FactoryHome, key: str) -> _Written:
    """Write the tables, a few thousand images at a time."""
    manifest = prefill(load_report(files), load_manifest(files))
    name = key.partition("@")[0]
    contents = pl.scan_parquet(files.contents).rename({"stem": ORIGINAL})
    split = pl.read_parquet(files.split)
    measured = measured_quantity(manifest, contents.filter(pl.col("role") == LABEL))
    modalities = [source.modality_tag for source in manifest.data_sources]
    items_path, annotations_path = folder / "items.parquet", folder / "annotations.parquet"
    thumbnails_path = folder / "thumbnails.parquet"
    items_found, drawn_found = ItemsHash(), AnnotationsHash(BY)
    item_count = annotation_count = 0
    with (
        items_writer(items_path, collection=name, modalities=modalities, dated=False) as items,
        annotations_writer(annotations_path) as annotations,
        ParquetBatches(thumbnails_path) as thumbnails,
    ):
        for index in slices(pl.scan_parquet(files.index), "stem"):
            rasters = _rasters(index, contents, files, manifest, home)
            rows = _items(index, split, manifest, rasters.filter(pl.col("role") == IMAGE))
            if manifest.purpose is Purpose.REGRESSION and "mean" in rasters.columns:
                rows = _with_means(rows, rasters.filter(pl.col("role") == LABEL))
            drawn = label_annotations(manifest, rasters.filter(pl.col("role") == LABEL), home, measured)
            items.append(rows)
            annotations.append(drawn)
            if "thumbnail" in rasters.columns:
                thumbnails.append(_thumbnails(rasters, modalities[0]))
            items_found.update(rows)
            drawn_found.update(drawn)
            item_count += rows.height
            annotation_count += drawn.height
    return _Written(
        name,
        items_path,
        items_found.hexdigest(),
        item_count,
        annotations_path,
        drawn_found.hexdigest(),
        annotation_count,
        thumbnails_path,
    )


def _thumbnails(rasters: pl.DataFrame, modality: str) -> pl.DataFrame:
    """Return `id` and `thumbnail` of the images of a modality, null for one without."""
    images = rasters.filter(pl.col("role") == IMAGE, pl.col("modality_tag") == modality)
    return images.select(pl.col("stem").alias("id"), "thumbnail").sort("id")


def _rasters(
    index: pl.DataFrame,
    contents: pl.LazyFrame,
    files: UploadFiles,
    manifest: UploadManifest,
    home: FactoryHome,
) -> pl.DataFrame:
    """Return a row per image and label of some pairs: its contents from the onboarding, and its path.

    Columns are those of file_contents.CONTENT_SCHEMA, with `stem` as in the index, `modality_tag` and `path`
    relative to the home.
    """
    suffixes = {tag: suffix for suffix, tag in manifest.modalities.items()}
    images = index.select("stem", ORIGINAL, "images").explode("images").unnest("images")
    placed = pl.concat(
        [
            images.with_columns(suffix=pl.col("modality_tag").replace_strict(suffixes)),
            index.select("stem", ORIGINAL, path="label", suffix=pl.lit(manifest.label_suffix)),
        ],
        how="diagonal",
    )
    folder = relative_to_home(files.finished.root, home)
    read = contents.filter(pl.col(ORIGINAL).is_in(index[ORIGINAL].implode())).collect()
    rasters = placed.join(read, on=[ORIGINAL, "suffix"], maintain_order="left")
    rasters = rasters.with_columns(path=pl.lit(f"{folder}/") + pl.col("path"))
    return _update_rewritten(rasters, manifest, home)


def _update_rewritten(rasters: pl.DataFrame, manifest: UploadManifest, home: FactoryHome) -> pl.DataFrame:
    """Update hash and nodata value of files that were rewritten after the onboarding had read them."""
    changes = FileChanges.of(manifest)
    changed = rasters.filter([changes.touches(row) for row in rasters.iter_rows(named=True)])
    paths = [resolve(path, home) for path in changed["path"]]
    facts = pl.DataFrame(
        {
            "path": changed["path"],
            "sha256": list(map_files(sha256_of, paths)),
            "nodata": list(map_files(nodata_of, paths)),
        },
        schema={"path": pl.String, "sha256": pl.String, "nodata": pl.Float64},
    )
    return rasters.update(facts, on="path", include_nulls=True)


def _items(
    index: pl.DataFrame, split: pl.DataFrame, manifest: UploadManifest, images: pl.DataFrame
) -> pl.DataFrame:
    media = _media(manifest, images)
    joined = index.join(split, on="stem", how="left", maintain_order="left")
    joined = joined.join(media, on="stem", maintain_order="left")
    return (
        joined.select(
            "stem",
            pl.lit(None, pl.Datetime("us", "UTC")).alias("datetime"),
            "split",
            "width",
            "height",
            pl.col("crs").alias("proj:code"),
            pl.col("transform").alias("proj:transform"),
            "media",
            pl.col(ORIGINAL).alias(ORIGINAL_NAME),
        )
        .rename({"stem": "id"})
        .hstack(footprint_columns(joined))
        .sort("id")
    )


def _with_means(items: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Add the mean of the measured label of each item, by whose quantiles versions can be balanced."""
    means = labels.select(pl.col("stem").alias("id"), pl.col("mean").alias(LABEL_MEAN))
    return items.join(means, on="id", how="left", maintain_order="left")


def _media(manifest: UploadManifest, images: pl.DataFrame) -> pl.DataFrame:
    """Return the media of each stem, in the order of the manifest's modalities."""
    sources = pl.DataFrame(
        [
            {
                "modality_tag": source.modality_tag,
                "bands": [band.band_name for band in sorted(source.bands, key=lambda band: band.index)],
                "rgb": _rgb(source),
            }
            for source in manifest.data_sources
        ],
        schema={"modality_tag": pl.String, "bands": pl.List(pl.String), "rgb": pl.List(pl.Int64)},
    )
    is_picture = pl.col("format").is_in(PICTURES) & (pl.col("bands").list.len() >= 3)
    medium = pl.struct(
        pl.col("modality_tag").alias("modality"),
        "path",
        pl.lit(None).alias("member"),
        pl.lit(None).alias("row"),
        "bands",
        pl.col("rgb").fill_null(pl.when(is_picture).then([0, 1, 2])),
        "dtype",
        "nodata",
        "sha256",
    )
    return (
        sources.join(images.drop("bands"), on="modality_tag", maintain_order="left_right")
        .group_by("stem", maintain_order=True)
        .agg(medium.cast(MEDIA).alias("media"))
    )


def _rgb(source: DataSource) -> list[int] | None:
    """Return the positions of red, green and blue; None if not all three are named."""
    named: Mapping[str, int] = {band.rgb_band: band.index for band in source.bands if band.rgb_band}
    return [named[color] for color in "RGB"] if len(named) == 3 else None
