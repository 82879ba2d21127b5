"""`croissant.json`: a machine-readable description in Croissant 1.1 (https://docs.mlcommons.org/croissant).

The files of images and labels are file sets in the folder of the description; the pairs are records read from
`items.parquet`, which also contains the checksum that each image had in the upload. The checksums of file
objects are those of the files beside the description.
"""

import json
from datetime import date
from pathlib import Path
from typing import Any

from factory_pipeline.onboarding.manifest.model import Purpose, UploadManifest
from factory_pipeline.redaction import display
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.storage.atomic import write_text
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.storage.media_types import MEDIA_TYPES, UNKNOWN

VERSION = "http://mlcommons.org/croissant/1.1"
ITEMS = "items.parquet"

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""Terms of the format, as its specification lists them."""

CHECKSUM = (
    "SHA-256 of the image as it was uploaded; for several modalities, of their concatenated hex checksums."
    " An image that was rewritten since then has another checksum."
)
_SPLIT_TERMS = {"train": "cr:TrainingSplit", "test": "cr:TestSplit", "validation": "cr:ValidationSplit"}


def croissant(
    root: Path,
    manifest: UploadManifest,
    version: str,
    published: date,
    files: tuple[str, ...] = (),
    creator: str = "unknown",
    license_url: str | None = None,
) -> dict[str, Any]:
    """Return the description as plain data.

    Args:
        root: folder of the onboarded dataset; it must contain `items.parquet` and `files`.
        manifest: of the dataset.
        version: of the dataset.
        published: when it was onboarded.
        files: further files to list, relative to `root`.
        creator: who made the dataset.
        license_url: an address or the name of the licence; omitted if it isn't known.
    """
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": manifest.dataset_name,
        "description": manifest.description or manifest.dataset_name,
        "creator": {"@type": "sc:Organization", "name": creator},
        "datePublished": published.isoformat(),
        "version": version,
        "url": display(manifest.dataset_url),
        "keywords": [manifest.purpose.value, *manifest.modalities.values()],
        "distribution": [
            *(file_object(root, file) for file in (ITEMS, *files)),
            *(
                file_set(f"images-{tag}", f"training_data/{tag}/*{suffix}", suffix)
                for suffix, tag in manifest.modalities.items()
            ),
            file_set("labels", f"labels/*{manifest.label_suffix}", manifest.label_suffix),
        ],
        "recordSet": [splits_record_set(), *_categories(manifest), _pairs(manifest)],
    }
    if license_url is not None:
        document["license"] = license_url
    return document


def write_croissant(path: Path, document: dict[str, Any]) -> None:
    """Write `croissant.json`.

    Args:
        path: of the JSON file; one that exists is replaced.
        document: as JSON values.
    """
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def file_object(root: Path, file: str) -> dict[str, Any]:
    """Describe a file beside the description, with its checksum.

    Args:
        root: folder of the description.
        file: path relative to it, which is also the object's id.
    """
    path = root / file
    return {
        "@type": "cr:FileObject",
        "@id": file,
        "name": path.name,
        "contentUrl": file,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _media_type(path.suffix),
        "sha256": sha256_of(path),
    }


def file_set(name: str, includes: str, suffix: str) -> dict[str, Any]:
    """Describe files of one kind, by a pattern relative to the description.

    Args:
        name: of the set, which is also its id.
        includes: a glob pattern relative to the folder of the description.
        suffix: of the files, which tells their media type.
    """
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "encodingFormat": _media_type(Path(f"x{suffix}").suffix),
        "includes": includes,
    }


def _media_type(suffix: str) -> str:
    """Without parameters, which `encodingFormat` does not have."""
    return MEDIA_TYPES.get(suffix.lower(), UNKNOWN).partition(";")[0]


def splits_record_set() -> dict[str, Any]:
    """Describe the three splits and their terms."""
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The three parts of the dataset.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            field("splits/name", "sc:Text", "Name of the split."),
            field("splits/url", "sc:URL", "Its term."),
        ],
        "data": [{"splits/name": split, "splits/url": _SPLIT_TERMS[split]} for split in SPLITS],
    }


def _categories(manifest: UploadManifest) -> list[dict[str, Any]]:
    """Describe the values of the masks; nothing for a regression."""
    if manifest.purpose is not Purpose.SEGMENTATION:
        return []
    return [
        {
            "@type": "cr:RecordSet",
            "@id": "categories",
            "name": "categories",
            "description": "Meaning of the values of the masks.",
            "key": {"@id": "categories/id"},
            "field": [
                field("categories/id", "sc:Integer", "Value in the mask."),
                field("categories/name", "sc:Text", "Name of the category."),
                field("categories/color", "sc:Text", "Colour in which it is drawn."),
            ],
            "data": [
                {"categories/id": known.id, "categories/name": known.name, "categories/color": known.color}
                for known in manifest.label_categories
            ],
        }
    ]


def _pairs(manifest: UploadManifest) -> dict[str, Any]:
    split = column("pairs/split", "sc:Text", "Train, test or validation.", "split")
    split["references"] = {"field": {"@id": "splits/name"}}
    return {
        "@type": "cr:RecordSet",
        "@id": "pairs",
        "name": "pairs",
        "description": "Each image with its label; paths are relative to this description.",
        "key": {"@id": "pairs/id"},
        "field": [
            column("pairs/id", "sc:Text", "Stem of the files.", "id"),
            split,
            column("pairs/original_name", "sc:Text", "Name in the upload.", "original_name"),
            column("pairs/sha256", "sc:Text", CHECKSUM, "sha256"),
            *(
                column(f"pairs/image_{tag}", "sc:Text", f"Path of the {tag} image.", f"image_path_{tag}")
                for tag in manifest.modalities.values()
            ),
            column("pairs/label", "sc:Text", "Path of the label.", "label_path"),
        ],
    }


def field(identifier: str, data_type: str, description: str) -> dict[str, Any]:
    """Describe a field of a record set; its name is the end of its identifier.

    Args:
        identifier: `record set/field`.
        data_type: such as `sc:Text`.
        description: one sentence.
    """
    return {
        "@type": "cr:Field",
        "@id": identifier,
        "name": identifier.split("/")[-1],
        "description": description,
        "dataType": data_type,
    }


def column(
    identifier: str, data_type: str, description: str, name: str, table: str = ITEMS
) -> dict[str, Any]:
    """Describe a field that is read from a column of a table.

    Args:
        identifier: `record set/field`.
        data_type: such as `sc:Text`.
        description: one sentence.
        name: of the column.
        table: id of the file object that contains it.
    """
    source = {"fileObject": {"@id": table}, "extract": {"column": name}}
    return field(identifier, data_type, description) | {"source": source}
