"""An onboarded upload as a collection: its images are the items, its labels one operation by people."""

from collections.abc import Mapping

import polars as pl

from factory_pipeline.checksum import sha256_of
from factory_pipeline.doors.footprints import footprint_columns
from factory_pipeline.doors.labels import label_annotations
from factory_pipeline.doors.named import ORIGINAL_NAME
from factory_pipeline.doors.rasters import nodata_of, of_each
from factory_pipeline.doors.registering import add_operation
from factory_pipeline.errors import LakeError
from factory_pipeline.lake.items import items_hash, write_items_table
from factory_pipeline.lake.places import relative_to_home, resolve
from factory_pipeline.lake.tables import (
    MEDIA,
)
from factory_pipeline.onboarding.manifest import DataSource, UploadManifest
from factory_pipeline.onboarding.matching import IMAGE, LABEL
from factory_pipeline.onboarding.prescan import prefill
from factory_pipeline.onboarding.received import kept_manifest
from factory_pipeline.onboarding.scan_record import load_report
from factory_pipeline.registry.records import AnnotationSource, Collection, CollectionSource
from factory_pipeline.registry.registry import Registry
from factory_pipeline.storage import FactoryHome, UploadFiles

PICTURES = ("PNG", "JPEG")
"""Formats whose first bands are red, green and blue."""


def collect_upload(registry: Registry, home: FactoryHome, key: str) -> Collection:
    """Register an onboarded upload as a collection of its name, and its labels as an operation.

    Segmentation has a mask per class and label, Regression a raster of values, Classification a rectangle
    around the whole image per class of its label; Generic has masks where the manifest names categories, else
    rasters. The same upload again is the same collection.

    Args:
        registry: where it is registered.
        home: holds the upload.
        key: `name@version`.

    Raises:
        LakeError: the upload is not onboarded to its end.
    """
    files = home.upload(key)
    if not files.finished.root.exists():
        raise LakeError(f"The upload {key} is not onboarded to its end; onboard it, then it is a collection.")
    manifest = prefill(load_report(files), kept_manifest(files))
    rasters = _rasters(files, manifest, home)
    items = _items(files, manifest, rasters.filter(pl.col("role") == IMAGE))
    name, content_hash = key.partition("@")[0], items_hash(items)
    path = home.collection(name, content_hash).items
    write_items_table(path, items, collection=name)
    collection = registry.add_collection(
        name,
        CollectionSource.UPLOAD,
        items_path=relative_to_home(path, home),
        item_count=items.height,
        content_hash=content_hash,
    )
    annotations = label_annotations(manifest, rasters.filter(pl.col("role") == LABEL), home)
    if annotations.height:
        add_operation(registry, home, collection, AnnotationSource.HUMAN, annotations)
    return collection


def _rasters(files: UploadFiles, manifest: UploadManifest, home: FactoryHome) -> pl.DataFrame:
    """A row per image and label: what the onboarding read of it, and where it lies.

    Columns are those of headers.FILE_SCHEMA and contents.CONTENT_SCHEMA, with `stem` as in the index,
    `modality_tag` and `path` relative to the home.
    """
    suffixes = {tag: suffix for suffix, tag in manifest.modalities.items()}
    index = pl.read_parquet(files.index)
    images = index.select("stem", "original_name", "images").explode("images").unnest("images")
    placed = pl.concat(
        [
            images.with_columns(suffix=pl.col("modality_tag").replace_strict(suffixes)),
            index.select("stem", "original_name", path="label", suffix=pl.lit(manifest.label_suffix)),
        ],
        how="diagonal",
    )
    folder = relative_to_home(files.finished.root, home)
    contents = pl.read_parquet(files.contents).rename({"stem": "original_name"})
    rasters = placed.join(contents, on=["original_name", "suffix"], maintain_order="left")
    rasters = rasters.with_columns(path=pl.lit(f"{folder}/") + pl.col("path"))
    return _as_they_lie(rasters, manifest, home)


def _as_they_lie(rasters: pl.DataFrame, manifest: UploadManifest, home: FactoryHome) -> pl.DataFrame:
    """Hash and no data of the files that were rewritten after the onboarding had read them."""
    rewritten = (pl.col("role") == IMAGE) & manifest.to_cog
    if manifest.label_nodata is not None:
        rewritten |= pl.col("role") == LABEL
    changed = rasters.filter(rewritten)
    paths = [resolve(path, home) for path in changed["path"]]
    facts = pl.DataFrame(
        {
            "path": changed["path"],
            "sha256": list(of_each(sha256_of, paths)),
            "nodata": list(of_each(nodata_of, paths)),
        },
        schema={"path": pl.String, "sha256": pl.String, "nodata": pl.Float64},
    )
    return rasters.update(facts, on="path", include_nulls=True)


def _items(files: UploadFiles, manifest: UploadManifest, images: pl.DataFrame) -> pl.DataFrame:
    index = pl.read_parquet(files.index)
    split = pl.read_parquet(files.split)
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
            pl.col("original_name").alias(ORIGINAL_NAME),
        )
        .rename({"stem": "id"})
        .hstack(footprint_columns(joined))
        .sort("id")
    )


def _media(manifest: UploadManifest, images: pl.DataFrame) -> pl.DataFrame:
    """The media of each stem, in the order of the manifest's modalities."""
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
    """Positions of red, green and blue; None where not all three are named."""
    named: Mapping[str, int] = {band.rgb_band: band.index for band in source.bands if band.rgb_band}
    return [named[color] for color in "RGB"] if len(named) == 3 else None
