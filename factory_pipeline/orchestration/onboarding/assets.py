"""From an uploaded archive of images and labels to a dataset that a model can be trained on."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from factory_pipeline.builds.training_upload import is_of_build
from factory_pipeline.datalake.ingest.from_upload import collect_upload
from factory_pipeline.imagery.row_frames import rows_in
from factory_pipeline.onboarding.checks.check import Check
from factory_pipeline.onboarding.checks.prescan import PrescanReport
from factory_pipeline.onboarding.onboarding import Arranged, AssignedSplits, Onboarding
from factory_pipeline.onboarding.page.contact_sheets import histogram_sheet, pair_sheet
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.onboarding.split_notes import SplitNotes
from factory_pipeline.onboarding.stages import STAGES
from factory_pipeline.onboarding.upload_archive import ArchiveFacts
from factory_pipeline.orchestration.builds.dataset import gedi_upload
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.failures import stop_where_failed
from factory_pipeline.orchestration.metadata import pages_url, picture, rows_table
from factory_pipeline.orchestration.onboarding.stage import (
    GROUP,
    INBOX,
    check_results,
    plain_stage_asset,
    run_stage,
    stage_asset,
    succeeded,
)
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.split_check import SPLIT_CHECK, split_check_severity
from factory_pipeline.splits.leakage import LeakReport
from factory_pipeline.splits.names import SPLITS

HEADER_CHECKS = {
    "files_found": "There is an image of every modality, and a label.",
    "stems_unique": "No two files of one suffix have the same stem.",
    "pairs_complete": "Every stem has a label and an image of every modality.",
    "headers_readable": "Every header can be read.",
    "sizes_sane": "No image declares more pixels than allowed.",
    "bands_equal": "The same number of bands within a modality; labels have one.",
    "dtypes_equal": "The same data type within a modality.",
    "sizes_equal": "The same width and height within each pair.",
    "crs_equal": "The same CRS within each pair.",
    "places_equal": "Image and label have the same position, to a hundredth of a pixel.",
    "bands_named_alike": "Within a modality all files have the same bands, as far as they name them.",
    "bands_described": "The manifest describes each band of the images.",
    "bands_in_order": "All files of a modality have their bands in one order, or can be reordered by name.",
    "nodata_declarable": "The labels' format can declare no data, if the manifest sets such a value.",
}
PIXEL_CHECKS = {
    "pixels_readable": "Every pixel can be read.",
    "images_different": "No two images have the same content.",
    "bands_filled": "No band of an image is without data throughout.",
    "labels_filled": "A label contains data.",
    "mask_values_known": "Every value of the masks has a category, or is no data.",
    "nodata_is_no_category": "No label category has a value that is no data.",
    "no_value_stands_out": "No outlying value looks like undeclared no data.",
}
INDEX_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("stem", "string", "name of the files, less their suffix"),
        dg.TableColumn("original_name", "string", "stem in the archive"),
        dg.TableColumn("images", "list(struct)", "modality and path of each image"),
        dg.TableColumn("label", "string", "path"),
        dg.TableColumn("sha256", "string", "of the image as it was uploaded"),
        dg.TableColumn("width", "int64", "pixels"),
        dg.TableColumn("height", "int64", "pixels"),
        dg.TableColumn("bands", "int64"),
        dg.TableColumn("crs", "string"),
        dg.TableColumn("epsg", "int64"),
        dg.TableColumn("transform", "list(float64)", "affine map from column and row"),
        dg.TableColumn("bounds", "list(float64)", "west, south, east, north in degrees"),
    ]
)


def specs(asset: str, checks: dict[str, str], *, blocking: bool = True) -> list[dg.AssetCheckSpec]:
    """Return asset checks.

    Args:
        asset: that is checked.
        checks: description of each check by its name.
        blocking: a failed check stops the assets downstream.
    """
    return [
        dg.AssetCheckSpec(name, asset=asset, description=text, blocking=blocking)
        for name, text in checks.items()
    ]


upload_inbox = dg.AssetSpec(
    INBOX,
    deps=[gedi_upload],
    description=("The folder for manifests and archives, from people and from builds that are onboarded."),
    group_name=GROUP,
    owners=OWNERS,
    kinds={"zip", "yaml"},
)
"""Nothing that Dagster makes: what is onboarded is not out of date when the next upload is dropped."""


@stage_asset(kinds={"zip", "yaml"})
def uploaded_archive(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The archive where it is, in the state in which its manifest was dropped; not downloaded yet."""
    facts: ArchiveFacts
    with run_stage(context, factory) as (onboarding, facts):
        manifest = onboarding.given
        context.log.info(f"{facts.address}: {facts.bytes} bytes.")
        return dg.MaterializeResult(
            metadata={
                "dataset": manifest.dataset_name,
                "purpose": manifest.purpose.value,
                "address": facts.address,
                "bytes": facts.bytes if facts.bytes is not None else "not said by the host",
                "can be read in parts": facts.in_parts,
                "received": dg.MetadataValue.timestamp(onboarding.upload.received_at),
                "manifest": dg.MetadataValue.json(manifest.model_dump(mode="json", by_alias=True)),
            }
        )


@stage_asset(
    kinds={"geotiff", "parquet"},
    check_specs=specs("prescan_report", HEADER_CHECKS),
)
def prescan_report(
    context: dg.AssetExecutionContext, factory: FactoryResource
) -> Iterator[dg.MaterializeResult]:
    """Images and labels matched by their stems, and what the header of every one of them says.

    Of a remote zip only the central directory and the headers are read.
    """
    report: PrescanReport
    with run_stage(context, factory) as (_, report):
        for note in report.notes:
            context.log.info(note)
        result: dg.MaterializeResult[Any] = dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows_in(report.files),
                "images": report.images,
                "labels": report.labels,
                "other files": len(report.others),
                "files by suffix": suffix_table(report),
                "notes": list(report.notes),
                "archive bytes": report.archive_bytes,
                "bytes read": report.bytes_read,
            },
            check_results=check_results(context, factory, report.checks),
        )
        yield result
        stop_where_failed(result.check_results or ())


@stage_asset(
    kinds={"geotiff", "parquet"},
    metadata={"dagster/column_schema": INDEX_COLUMNS},
    check_specs=specs("dataset_items", PIXEL_CHECKS),
)
def dataset_items(
    context: dg.AssetExecutionContext, factory: FactoryResource
) -> Iterator[dg.MaterializeResult]:
    """Images and labels, checked pixel by pixel, under names that training tools can't mistake."""
    arranged: Arranged
    with run_stage(context, factory) as (_, arranged):
        given = {check.name for check in (*arranged.checks, *arranged.advice)}
        for advice in arranged.advice:
            if not advice.passed:
                context.log.warning(advice.message)
        unasked = [
            Check(name, True, "Not checked: the manifest has no label categories, or another check failed.")
            for name in PIXEL_CHECKS
            if name not in given
        ]
        result: dg.MaterializeResult[Any] = dg.MaterializeResult(
            metadata={"dagster/row_count": 0 if arranged.index is None else rows_in(arranged.index)},
            check_results=[
                *check_results(context, factory, [*arranged.checks, *unasked]),
                *check_results(context, factory, arranged.advice, dg.AssetCheckSeverity.WARN),
            ],
        )
        yield result
        stop_where_failed(result.check_results or ())


@stage_asset(
    kinds={"polars", "parquet"},
    check_specs=specs(
        "dataset_split",
        {SPLIT_CHECK: "No overlapping or duplicate images are in different splits."},
    ),
)
def dataset_split(
    context: dg.AssetExecutionContext, factory: FactoryResource
) -> Iterator[dg.MaterializeResult]:
    """Train, test and validation. An image that an earlier version held keeps its split."""
    assigned: AssignedSplits
    with run_stage(context, factory) as (onboarding, assigned):
        notes = onboarding.split_notes()
        record = assigned.record
        result: dg.MaterializeResult[Any] = dg.MaterializeResult(
            metadata={
                "dagster/row_count": assigned.split.height,
                "images by split": split_table(assigned.split),
                "rule": dg.MetadataValue.json(onboarding.given.splits.model_dump(mode="json")),
                "leaks": " ".join(notes.sentences),
                "leaking share": record.leaks.leaking_share,
                "leaking share of a random split": record.leaks.random_leaking_share,
                "splits.json": dg.MetadataValue.json(record.as_json()),
            },
            check_results=check_results(
                context,
                factory,
                [leak_check(record.leaks, notes, onboarding.index)],
                split_check_severity(record.promises_zero),
            ),
        )
        yield result
        stop_where_failed(result.check_results or ())


@stage_asset(kinds={"json", "numpy"})
def training_parameters(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """Statistics of bands and labels from the training images alone, in float64, no data left out."""
    parameters: TrainingParameters
    with run_stage(context, factory) as (onboarding, parameters):
        return dg.MaterializeResult(
            metadata={
                "training images": parameters.images,
                "bands": band_table(parameters),
                "classes": class_table(parameters),
                "histograms": picture(histogram_sheet(parameters), "histograms of the training images"),
                # Where it is once the dataset is finished: the folder of an unfinished one goes.
                "path": dg.MetadataValue.path(str(onboarding.files.finished.training_params)),
            }
        )


@stage_asset(kinds={"html", "yaml", "json", "parquet"})
def dataset_page(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The dataset page, the configuration for `terratorch fit`, Croissant and the items as GeoParquet."""
    with run_stage(context, factory) as (onboarding, _):
        files = onboarding.files.dataset
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.url(page_url(onboarding.key)),
                "preview": picture(preview(onboarding), "pairs of image and label"),
                "bytes of the page": files.page.stat().st_size,
            }
        )


@stage_asset(kinds={"geotiff", "sqlite"})
def onboarded_dataset(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
    """The finished dataset at its place, registered; its images are a collection of the data lake."""
    folder: Path
    with run_stage(context, factory) as (onboarding, folder):
        collected = {}
        # The images of a build are in the data lake already: twice, they could be drawn for two splits.
        if not is_of_build(onboarding.manifest):
            with closing(factory.registry()) as registry:
                collected["collection"] = collect_upload(registry, onboarding.home, onboarding.key).id
        succeeded(context, factory)
        context.log.info(f"{onboarding.key} lies in {folder}.")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows_in(onboarding.index),
                "images by split": split_table(onboarding.split),
                "leaks": " ".join(onboarding.split_notes().sentences),
                "folder": dg.MetadataValue.path(str(folder)),
                "dagster/uri": folder.as_uri(),
                "page": dg.MetadataValue.url(page_url(onboarding.key)),
                **collected,
            }
        )


REPORTED = {
    asset.key.path[-1]
    for asset in (
        uploaded_archive,
        prescan_report,
        dataset_items,
        dataset_split,
        training_parameters,
        dataset_page,
        onboarded_dataset,
    )
}
"""The stages whose assets report more than the path of their output."""
PLAIN_STAGES = [plain_stage_asset(stage) for stage in STAGES if stage.name not in REPORTED]


def page_url(key: str) -> str:
    """Return where the page of a dataset is served."""
    return f"{pages_url()}/datasets/{key.replace('@', '/')}/dataset.html"


def preview(onboarding: Onboarding) -> bytes:
    """Return a sheet of pairs as PNG."""
    return pair_sheet(
        onboarding.index, onboarding.manifest, onboarding.parameters(), onboarding.files.dataset.root
    )


def leak_check(leaks: LeakReport, notes: SplitNotes, index: pl.LazyFrame) -> Check:
    """Return whether the splits share ground, with the names that the images had in the archive.

    Args:
        leaks: of the splits.
        notes: sentences on the splits for the user.
        index: `stem`, `original_name` of each image.
    """
    if not leaks.leaks or leaks.crossing is None:
        return Check(SPLIT_CHECK, not leaks.leaks, " ".join(notes.sentences))
    crossing = leaks.crossing.lazy().select("stem")
    originals = index.join(crossing, on="stem", how="semi").select(pl.col("original_name").sort()).collect()
    return Check(SPLIT_CHECK, False, " ".join(notes.sentences), tuple(originals["original_name"]))


def suffix_table(report: PrescanReport) -> dg.TableMetadataValue:
    """Return what the pre-scan found, a row per suffix; several values where the files differ."""

    def values(column: str) -> pl.Expr:
        return (
            pl.col(column).drop_nulls().cast(pl.String).unique().sort().head(4).str.join(", ").alias(column)
        )

    rows = (
        report.files.with_columns(
            size=pl.format("{} x {}", "width", "height"),
            band_names=pl.col("band_names").list.eval(pl.element().fill_null("-")).list.join(", "),
            crs=pl.col("crs").str.head(60),
        )
        .group_by("role", "suffix")
        .agg(
            pl.len().alias("files"),
            *(values(column) for column in ("bands", "band_names", "dtype", "size", "crs", "nodata")),
            pl.col("error").is_not_null().sum().alias("broken"),
        )
        .sort("role", "suffix")
        .collect()
    )
    return rows_table(rows)


def split_table(split: pl.DataFrame) -> dg.TableMetadataValue:
    """Return images by split."""
    counts = dict(split.group_by("split").len().iter_rows())
    return rows_table(pl.DataFrame({"split": SPLITS, "images": [counts.get(name, 0) for name in SPLITS]}))


def band_table(parameters: TrainingParameters) -> dg.TableMetadataValue:
    """Statistics by band, the label of a regression last."""
    label = () if parameters.label is None else (parameters.label,)
    return rows_table(
        pl.DataFrame(
            [
                {
                    "modality": band.modality,
                    "band": band.band,
                    "pixels": band.pixels,
                    "no data": band.no_data,
                    "mean": band.mean,
                    "std": band.std,
                    "min": band.minimum,
                    "max": band.maximum,
                    "median": band.percentiles.get("p50"),
                }
                for band in (*parameters.bands, *label)
            ]
        )
    )


def class_table(parameters: TrainingParameters) -> dg.TableMetadataValue:
    """Share and weight by label category; without rows for other purposes than Segmentation."""
    columns = {
        "id": pl.Int64,
        "name": pl.String,
        "pixels": pl.Int64,
        "share": pl.Float64,
        "weight": pl.Float64,
    }
    rows = [{column: getattr(known, column) for column in columns} for known in parameters.classes]
    return rows_table(pl.DataFrame(rows, schema=columns))
