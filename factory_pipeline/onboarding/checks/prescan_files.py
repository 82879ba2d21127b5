"""The pre-scan on disk: headers as Parquet, everything else as JSON beside it."""

import json
from dataclasses import asdict

import polars as pl

from factory_pipeline.onboarding.checks.check import Check
from factory_pipeline.onboarding.checks.file_roles import LABEL
from factory_pipeline.onboarding.checks.prescan import PrescanReport
from factory_pipeline.onboarding.manifest.model import UploadManifest
from factory_pipeline.onboarding.rewrite_images import DECLARING
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.upload_files import UploadFiles


def save_report(report: PrescanReport, files: UploadFiles) -> None:
    """Write a report whose table of files is at `files.headers`; `prescan.json` marks it as complete.

    Args:
        report: its table of files is not written again.
        files: of the upload.
    """
    document = {
        "others": report.others,
        "checks": [asdict(check) for check in report.checks],
        "notes": report.notes,
        "archive_bytes": report.archive_bytes,
        "bytes_read": report.bytes_read,
    }
    write_text(files.prescan, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def load_report(files: UploadFiles) -> PrescanReport:
    """Read what `save_report` wrote."""
    document = json.loads(files.prescan.read_text(encoding="utf-8"))
    return PrescanReport(
        files=pl.scan_parquet(files.headers),
        others=tuple(document["others"]),
        checks=tuple(Check(**{**check, "files": tuple(check["files"])}) for check in document["checks"]),
        notes=tuple(document["notes"]),
        archive_bytes=document["archive_bytes"],
        bytes_read=document["bytes_read"],
    )


def bands_described(report: PrescanReport, manifest: UploadManifest) -> Check:
    """Check that the manifest describes each band of the images, none twice and none that does not exist.

    A data source without bands is filled in from the files, so it is always correct.

    Args:
        report: of the pre-scan.
        manifest: of the user.
    """
    wrong = []
    for source in manifest.data_sources:
        suffix = source.file_suffix or manifest.training_data_suffixes[0]
        images = report.images_of(suffix)
        found = images.select(pl.col("bands").drop_nulls().unique().sort()).collect()
        counts = found["bands"].to_list()
        described = sorted(band.index for band in source.bands)
        if described and len(counts) == 1 and described != list(range(counts[0])):
            indices = ", ".join(map(str, described))
            wrong.append(
                f"{source.modality_tag} has {count_noun(counts[0], 'band')} in the files, of which the"
                " manifest describes"
                f" {indices}"
            )
    if wrong:
        return Check("bands_described", False, f"The modality {'; '.join(wrong)} (the first band is 0).")
    return Check("bands_described", True, "The manifest describes each band of the images.")


def nodata_declarable(report: PrescanReport, manifest: UploadManifest) -> Check:
    """Check that the labels' format can declare a nodata value, if the manifest sets one.

    Args:
        report: of the pre-scan.
        manifest: of the user.
    """
    name = "nodata_declarable"
    if manifest.label_nodata is None:
        return Check(name, True, "The manifest sets no nodata value.")
    silent = (pl.col("role") == LABEL) & pl.col("nodata").is_null() & ~pl.col("format").is_in(DECLARING)
    files = report.files.filter(silent).select(pl.col("name").sort(), "format").collect()
    if not files.height:
        return Check(name, True, "The labels can declare a nodata value.")
    message = (
        f"The manifest has label_nodata {manifest.label_nodata:g}, which a {files['format'][0]} can't"
        " declare,"
        f" such as {files['name'][0]} ({count_noun(files.height, 'file')}); store the labels as PNG or"
        " GeoTIFF."
    )
    return Check(name, False, message, tuple(files["name"]))
