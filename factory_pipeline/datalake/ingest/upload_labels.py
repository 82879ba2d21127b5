"""The annotations in the label rasters of an upload, by the purpose of the upload."""

import polars as pl

from factory_pipeline.datalake.ingest.read_raster import values_in
from factory_pipeline.datalake.tables.annotations import NOTHING
from factory_pipeline.datalake.tables.schemas import ANNOTATION_SCHEMA, LABEL_RASTER, AnnotationType
from factory_pipeline.onboarding.checks.file_contents import MOST_VALUES
from factory_pipeline.onboarding.manifest.model import Purpose, UploadManifest
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.relative_paths import resolve

UNNAMED = "label"
"""Name of the measured quantity if neither manifest nor files have one."""


def label_annotations(
    manifest: UploadManifest, labels: pl.DataFrame, home: FactoryHome, measured: str
) -> pl.DataFrame:
    """Return the annotations of labels, ordered by item and class.

    Args:
        manifest: of the upload.
        labels: a row per label: `stem`, `path` relative to the home, `width`, `height`, `nodata`, `sha256`,
            and `values` as the onboarding read them.
        home: contains the labels.
        measured: the quantity in rasters of values; see `measured_quantity`.

    Returns:
        A frame in ANNOTATION_SCHEMA: a mask per class that occurs, for Classification a rectangle around the
            full image instead, and without classes a raster of values per label that has any.
    """
    has_classes = manifest.purpose in (Purpose.SEGMENTATION, Purpose.CLASSIFICATION) or (
        manifest.purpose is Purpose.GENERIC and bool(manifest.label_categories)
    )
    rows = _classes(manifest, labels, home) if has_classes else _measurements(labels, measured)
    is_whole = manifest.purpose is Purpose.CLASSIFICATION
    sides = (pl.col(side).cast(pl.Float64) for side in ("width", "height"))
    raster = pl.struct(
        "path",
        pl.lit(None).alias("member"),
        pl.lit(None).alias("row"),
        "value",
        "nodata",
        "sha256",
    )
    drawn = {
        "type": pl.lit((AnnotationType.RECTANGLE if is_whole else AnnotationType.MASK).value),
        "bbox": pl.concat_list(pl.lit(0.0), pl.lit(0.0), *sides) if is_whole else pl.lit(None),
        "raster": pl.lit(None) if is_whole else raster.cast(LABEL_RASTER),
    }
    if not has_classes:
        drawn["type"] = pl.lit(AnnotationType.RASTER.value)
    said = {"item": pl.col("stem"), "label": pl.col("label")}
    blank = {"rings": None, "confidence": None, "metadata": NOTHING, "attributes": NOTHING}
    return (
        rows.sort("stem", "value")
        .select(**said, **drawn, **{name: pl.lit(value) for name, value in blank.items()})
        .select(list(ANNOTATION_SCHEMA))
        .cast(pl.Schema(ANNOTATION_SCHEMA))
    )


def measured_quantity(manifest: UploadManifest, labels: pl.LazyFrame) -> str:
    """Return the quantity of the labels: the only category of the manifest, else the band name in the files.

    Args:
        manifest: of the upload.
        labels: all of them, with `band_names` and `values`.
    """
    if len(manifest.label_categories) == 1:
        return manifest.label_categories[0].name
    holding = labels.filter(pl.col("values").list.len() > 0)
    found = holding.select(pl.col("band_names").list.first().unique()).collect().to_series().to_list()
    return found[0] if len(found) == 1 and found[0] else UNNAMED


def _classes(manifest: UploadManifest, labels: pl.DataFrame, home: FactoryHome) -> pl.DataFrame:
    """Return a row per label and class in it, with `value` and `label`."""
    found = labels.with_columns(_all_values(labels, home)).explode("values").drop_nulls("values")
    if manifest.label_nodata is not None:
        found = found.filter(pl.col("values") != manifest.label_nodata)
    names = {category.id: category.name for category in manifest.label_categories}
    values = [int(value) for value in found["values"]]
    return found.with_columns(
        pl.Series("value", values, pl.Int64),
        pl.Series("label", [names.get(value, str(value)) for value in values], pl.String),
    )


def _measurements(labels: pl.DataFrame, measured: str) -> pl.DataFrame:
    """Return a row per label that contains any value, with `label` and without `value`."""
    holding = labels.filter(pl.col("values").list.len() > 0)
    return holding.with_columns(value=pl.lit(None, pl.Int64), label=pl.lit(measured, pl.String))


def _all_values(labels: pl.DataFrame, home: FactoryHome) -> pl.Series:
    """Return the values of each label.

    Those of which the onboarding stored only the lowest are read again.
    """
    paths: list[str] = labels["path"].to_list()
    kept: list[list[float]] = labels["values"].to_list()
    read = [
        values_in(resolve(path, home)) if len(values) >= MOST_VALUES else values
        for path, values in zip(paths, kept, strict=True)
    ]
    return pl.Series("values", read, pl.List(pl.Float64))
