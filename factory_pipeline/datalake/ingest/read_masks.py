"""Annotations from masks: a folder of rasters of class values, each with the name of its image."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory_pipeline.datalake.ingest.match_items import Item, find_named_items
from factory_pipeline.datalake.ingest.read_raster import map_files, values_in
from factory_pipeline.datalake.ingest.report import LeftOut, ReadAnnotations
from factory_pipeline.datalake.tables.annotations import annotation_frame
from factory_pipeline.datalake.tables.schemas import AnnotationType
from factory_pipeline.errors import DocumentError, LakeError
from factory_pipeline.imagery.headers import Header, read_header
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.yaml_document import read_yaml

EXACT = (".tif", ".tiff", ".png")
LOSSY = (".jpg", ".jpeg")
LABEL_MAPS = ("label_map.json", "label_map.yaml", "label_map.yml")

LabelMap = Mapping[Any, Any]


@dataclass(frozen=True)
class _Mask:
    """The contents of a mask."""

    header: Header
    values: list[float]
    sha256: str


def read_masks(
    folder: Path,
    items: Path,
    copies: Path,
    label_map: LabelMap | Path | None = None,
    name_ending: str = "",
    match: re.Pattern[str] | None = None,
) -> ReadAnnotations:
    """Read the annotations of the masks in a folder, and copy the masks: the folder may be removed later.

    Args:
        folder: GeoTIFFs or PNGs of one band, each with the name and size of its item; subfolders are read
            too.
        items: the items of the collection.
        copies: an empty folder; the name of a copy is the id of its item.
        label_map: the name of each value, or a JSON or YAML file with it; None uses `label_map.json` or
            `label_map.yaml` of the folder. A value whose name is null is ignored, such as a background.
        name_ending: text after the names of the items in the names of the masks, such as `_pred`.
        match: finds the names of the items in the paths of the masks below the folder.

    Returns:
        The annotations; paths of rasters are names in `copies`.

    Raises:
        LakeError: the masks do not fit the items, or a value has no name.
    """
    names = _names(folder, label_map)
    masks = _masks_in(folder)
    given = {path.relative_to(folder).as_posix(): path for path in masks}
    found = find_named_items(items, given, folder.name, name_ending, match)
    meant = {given[name]: item for name, item in found.items()}
    copied = _copy_masks(meant, copies)
    read = map_files(_read, copied.values())
    rows = [
        row
        for (path, copy), mask in zip(copied.items(), read, strict=True)
        for row in _rows(path, meant[path], mask, copy.name, names)
    ]
    if not rows:
        raise LakeError(f"The masks in {folder} contain no value with a name.")
    frame = annotation_frame(rows).sort("item", maintain_order=True)
    return ReadAnnotations(frame, len(found), [name for name in given if name not in found], LeftOut())


def _copy_masks(masks: Mapping[Path, Item], folder: Path) -> dict[Path, Path]:
    """Copy masks under the names of their items."""
    copies: dict[Path, Path] = {}
    taken: dict[str, Path] = {}
    for path, meant in masks.items():
        item = meant.id
        if item in taken:
            raise LakeError(f"The item {item} has two masks: {taken[item].name} and {path.name}.")
        taken[item], copies[path] = path, folder / f"{item}{path.suffix.lower()}"
        try:
            shutil.copyfile(path, copies[path])
        except OSError as error:
            raise LakeError(f"The mask {path.name} can't be copied: {error.strerror}.") from error
    return copies


def _read(path: Path) -> _Mask:
    with path.open("rb") as file:
        header = read_header(file)
    readable = header.error is None and header.bands == 1
    return _Mask(header, values_in(path) if readable else [], sha256_of(path))


def _rows(
    path: Path, item: Item, mask: _Mask, name: str, names: Mapping[int, str | None]
) -> list[dict[str, Any]]:
    header = mask.header
    if header.error is not None or header.bands != 1:
        what = header.error or f"it has {header.bands} bands, and a mask must have one"
        raise LakeError(f"The mask {path.name} can't be used: {what}.")
    if (header.width, header.height) != (item.width, item.height):
        raise LakeError(
            f"The mask {path.name} is {header.width} x {header.height} pixels, but the item {item.id} is"
            f" {item.width} x {item.height}."
        )
    unnamed = [value for value in mask.values if value not in names]
    if unnamed:
        raise LakeError(
            f"The mask {path.name} contains the value {unnamed[0]:g}, which has no name in the label_map"
            " (null"
            " ignores a value)."
        )
    return [
        {
            "item": item.id,
            "type": AnnotationType.MASK.value,
            "label": label,
            "raster": {
                "path": name,
                "value": int(value),
                "nodata": header.nodata,
                "sha256": mask.sha256,
            },
        }
        for value in mask.values
        if (label := names[int(value)]) is not None
    ]


def _masks_in(folder: Path) -> list[Path]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if lossy := [path for path in files if path.suffix.lower() in LOSSY]:
        raise LakeError(
            f"The mask {lossy[0].name} is a JPEG, which alters values; allowed are {', '.join(EXACT)}."
        )
    masks = [path for path in files if path.suffix.lower() in EXACT]
    if not masks:
        raise LakeError(f"The folder {folder} contains no masks; allowed are {', '.join(EXACT)}.")
    return masks


def _names(folder: Path, given: LabelMap | Path | None) -> dict[int, str | None]:
    """Return the name of each value."""
    if given is None:
        there = [folder / name for name in LABEL_MAPS if (folder / name).is_file()]
        if not there:
            raise LakeError(
                f"The folder {folder} has no {LABEL_MAPS[0]}; set the name of each value there or by"
                " label_map, such as {1: 'Water'}."
            )
        given = there[0]
    where = "label_map" if isinstance(given, Mapping) else given.name
    document = given if isinstance(given, Mapping) else _document(given)
    if not isinstance(document, Mapping) or not document:
        raise LakeError(f"{where} must name the label of each value, such as {{1: 'Water'}}.")
    return {_value(value, where): _name(name, value, where) for value, name in document.items()}


def _document(path: Path) -> Any:
    try:
        return read_yaml(path, f"The file {path.name}")
    except DocumentError as error:
        raise LakeError(str(error)) from error


def _value(value: Any, where: str) -> int:
    try:
        if isinstance(value, bool | float):
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise LakeError(f"{where} has the value {value!r}; the values of masks must be integers.") from None


def _name(name: Any, value: Any, where: str) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or not name.strip():
        raise LakeError(f"{where} has {name!r} for the value {value}; it must be a name, or null.")
    return name.strip()
