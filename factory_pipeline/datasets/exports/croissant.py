"""Croissant: media, masks and measured values as in RAW, a table of the samples, and their description.

Croissant 1.1 (https://docs.mlcommons.org/croissant) with the fields of GeoCroissant 1.0
(http://mlcommons.org/croissant/geo/1.0) if the images are georeferenced.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
from rasterio.warp import transform_bounds

from factory_pipeline.datasets.exports.media import check_image, check_raster, write_raster
from factory_pipeline.datasets.exports.raw import (
    MASKS,
    MEDIA,
    TARGETS,
    media_names,
    rasters_of,
    shape_record,
    write_media,
)
from factory_pipeline.datasets.model.sample import Sample
from factory_pipeline.datasets.model.version_content import VersionContent, all_samples
from factory_pipeline.errors import ExportError
from factory_pipeline.onboarding.products.croissant import (
    CONTEXT,
    VERSION,
    column,
    file_object,
    file_set,
    splits_record_set,
)
from factory_pipeline.onboarding.products.croissant import field as described
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.storage.parquet import BATCH_ROWS, ParquetBatches

GEO_VERSION = "http://mlcommons.org/croissant/geo/1.0"
GEO_TERMS = {"geocr": "http://mlcommons.org/croissant/geo/"}
SAMPLES, DESCRIPTION = "samples.parquet", "croissant.json"
LANDMARKS = 21
"""Points per edge of an image that are transformed for its bounds in degrees."""

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


def write(version: VersionContent, folder: Path) -> None:
    """As `Format.write`: `data/`, `masks/`, `targets/`, `samples.parquet` and `croissant.json`."""
    seen = _Seen()
    with ParquetBatches(folder / SAMPLES) as table:
        for rows in _batches(version, folder, seen):
            table.append(pl.DataFrame(rows, schema=_schema(version)))
    document = _document(version, folder, seen)
    (folder / DESCRIPTION).write_text(
        json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n"
    )


def check(version: VersionContent, folder: Path) -> None:
    """As `Format.check`; the description must match the files and their checksums."""
    table = pl.read_parquet(folder / SAMPLES)
    row = 0
    for sample in all_samples(version):
        if table.row(row, named=True) != _row(version, sample):
            raise ExportError(f"The row of {sample.name} in {SAMPLES} differs when it is read back.")
        for tag, name in media_names(version, sample).items():
            check_image(folder / MEDIA / name, sample, tag)
        for name, raster in rasters_of(sample):
            check_raster(folder / name, raster, sample)
        row += 1
    if row != table.height:
        raise ExportError(f"{SAMPLES} was read back with {table.height} rows for {row} samples.")
    document = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    for listed in document["distribution"]:
        if "sha256" in listed and sha256_of(folder / listed["contentUrl"]) != listed["sha256"]:
            raise ExportError(f"{DESCRIPTION} has another checksum than {listed['name']}.")


def is_media(path: PurePosixPath) -> bool:
    """Return whether a file is in `data/`."""
    return path.parts[0] == MEDIA


@dataclass
class _Seen:
    """The common properties of the samples, collected while they are written."""

    bounds: Bounds | None = None
    crs: set[str] = field(default_factory=set)
    resolutions: set[float] = field(default_factory=set)
    times: tuple[str, str] | None = None
    suffixes: dict[str, set[str]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def add(self, version: VersionContent, sample: Sample) -> None:
        for tag, name in media_names(version, sample).items():
            self.suffixes.setdefault(tag, set()).add(PurePosixPath(name).suffix)
        self.folders |= {PurePosixPath(name).parts[0] for name, _ in rasters_of(sample)}
        if sample.acquired is not None:
            day = sample.acquired.date().isoformat()
            first, last = self.times or (day, day)
            self.times = min(first, day), max(last, day)
        if (bounds := _bounds(sample)) is None:
            return
        self.crs.add(str(sample.crs))
        assert sample.transform is not None
        self.resolutions.add(round(abs(sample.transform[0]), 9))
        west, south, east, north = self.bounds or bounds
        self.bounds = min(west, bounds[0]), min(south, bounds[1]), max(east, bounds[2]), max(north, bounds[3])


def _batches(version: VersionContent, folder: Path, seen: _Seen) -> Iterator[list[dict[str, Any]]]:
    """Write the rasters of all samples; yield their rows in batches, at least one batch."""
    rows: list[dict[str, Any]] = []
    for sample in all_samples(version):
        write_media(version, sample, folder / MEDIA)
        for name, raster in rasters_of(sample):
            write_raster(folder / name, raster, sample)
        seen.add(version, sample)
        rows.append(_row(version, sample))
        if len(rows) == BATCH_ROWS:
            yield rows
            rows = []
    yield rows


def _schema(version: VersionContent) -> dict[str, pl.DataType]:
    texts = ["name", "split", "origin", *(_path_column(tag) for tag in version.modalities)]
    texts += ["mask_path", "target_path", "labels", "annotations", "acquired", "crs", "metadata"]
    edges = ["west", "south", "east", "north"]
    return {**{name: pl.String() for name in texts}, **{edge: pl.Float64() for edge in edges}}


def _row(version: VersionContent, sample: Sample) -> dict[str, Any]:
    names = media_names(version, sample)
    rasters = {PurePosixPath(name).parts[0]: name for name, _ in rasters_of(sample)}
    west, south, east, north = _bounds(sample) or (None,) * 4
    labels = sorted({shape.label for shape in sample.shapes})
    return {
        "name": sample.name,
        "split": sample.split,
        "origin": sample.origin or None,
        **{
            _path_column(tag): f"{MEDIA}/{names[tag]}" if tag in names else None for tag in version.modalities
        },
        "mask_path": rasters.get(MASKS),
        "target_path": rasters.get(TARGETS),
        "labels": ", ".join(labels) or None,
        "annotations": json.dumps([shape_record(shape) for shape in sample.shapes], ensure_ascii=False),
        "acquired": sample.acquired.isoformat() if sample.acquired else None,
        "crs": sample.crs,
        "metadata": json.dumps(dict(sample.metadata), sort_keys=True, ensure_ascii=False),
        "west": west,
        "south": south,
        "east": east,
        "north": north,
    }


def _path_column(tag: str) -> str:
    return f"image_path_{tag}"


def _bounds(sample: Sample) -> Bounds | None:
    """Return bounds of a georeferenced sample; west is greater than east across 180 degrees."""
    if sample.crs is None or sample.transform is None:
        return None
    a, b, c, d, e, f = sample.transform
    height, width = sample.size
    xs = [c + a * x + b * y for x in (0, width) for y in (0, height)]
    ys = [f + d * x + e * y for x in (0, width) for y in (0, height)]
    west, south, east, north = transform_bounds(
        sample.crs, "OGC:CRS84", min(xs), min(ys), max(xs), max(ys), densify_pts=LANDMARKS
    )
    return west, south, east, north


def _document(version: VersionContent, folder: Path, seen: _Seen) -> dict[str, Any]:
    placed = seen.bounds is not None
    document: dict[str, Any] = {
        "@context": CONTEXT | (GEO_TERMS if placed else {}),
        "@type": "sc:Dataset",
        "conformsTo": [VERSION, GEO_VERSION] if placed else VERSION,
        "name": version.dataset,
        "description": f"{version.dataset} {version.number}: {', '.join(version.labels)}.",
        "version": version.number,
        "keywords": [*version.labels, *version.modalities],
        "distribution": [
            file_object(folder, SAMPLES),
            *(
                file_set(f"images-{tag}{suffix}", f"{MEDIA}/*{_ending(version, tag)}{suffix}", suffix)
                for tag, suffixes in seen.suffixes.items()
                for suffix in sorted(suffixes)
            ),
            *(file_set(name, f"{name}/*.tif", ".tif") for name in sorted(seen.folders)),
        ],
        "recordSet": [splits_record_set(), _labels(version), _samples(version)],
    }
    if version.dated is not None:
        document["datePublished"] = version.dated.date().isoformat()
    return document | _geo(version, seen)


def _ending(version: VersionContent, tag: str) -> str:
    return f"_{tag}" if len(version.modalities) > 1 else ""


def _geo(version: VersionContent, seen: _Seen) -> dict[str, Any]:
    """Return extent, time and bands; empty if no image is georeferenced."""
    if seen.bounds is None:
        return {}
    west, south, east, north = seen.bounds
    bands = next(iter(version.modalities.values()))
    said: dict[str, Any] = {
        "spatialCoverage": {
            "@type": "sc:Place",
            "geo": {"@type": "sc:GeoShape", "box": f"{south} {west} {north} {east}"},
        },
        "geocr:coordinateReferenceSystem": ", ".join(sorted(seen.crs)),
        "geocr:bandConfiguration": {
            "@type": "geocr:BandConfiguration",
            "geocr:totalBands": len(bands),
            "geocr:bandNamesList": list(bands),
        },
    }
    if len(seen.resolutions) == 1 and all(crs != "EPSG:4326" for crs in seen.crs):
        value = {"@type": "sc:QuantitativeValue", "value": min(seen.resolutions), "unitText": "m"}
        said["geocr:spatialResolution"] = value
    if seen.times is not None:
        said["temporalCoverage"] = "/".join(seen.times)
    return said


def _labels(version: VersionContent) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "labels",
        "name": "labels",
        "description": "The labels, and the value of each in the masks.",
        "key": {"@id": "labels/name"},
        "field": [
            described("labels/name", "sc:Text", "Name of the label."),
            described("labels/value", "sc:Integer", "Value in the masks."),
        ],
        "data": [{"labels/name": name, "labels/value": version.values[name]} for name in version.labels],
    }


def _samples(version: VersionContent) -> dict[str, Any]:
    def text(name: str, description: str) -> dict[str, Any]:
        return column(f"samples/{name}", "sc:Text", description, name, SAMPLES)

    split = text("split", "Train, test or validation.")
    split["references"] = {"field": {"@id": "splits/name"}}
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "Each image with its annotations; paths are relative to this description.",
        "key": {"@id": "samples/name"},
        "field": [
            text("name", "Name of the sample."),
            split,
            text("origin", "The sample that an augmented copy was made from."),
            *(text(_path_column(tag), f"Path of the {tag} image.") for tag in version.modalities),
            text("mask_path", "Path of the mask of class values."),
            text("target_path", "Path of the measured values."),
            text("labels", "Labels of its shapes."),
            text("annotations", "Its shapes as JSON, in pixels."),
            text("acquired", "Time of the image (ISO 8601)."),
            text("crs", "Coordinate reference system."),
            text("metadata", "Further properties as JSON."),
            *(
                column(f"samples/{edge}", "sc:Float", f"Its bound in the {edge}, in degrees.", edge, SAMPLES)
                for edge in ("west", "south", "east", "north")
            ),
        ],
    }
