"""The fused files of a GEDI build as an upload: GeoTIFFs in an archive, and the manifest beside it.

It is onboarded as users' uploads are. A shot is a stem. The test images are named by a file in the archive;
what trains and what validates is drawn as in any upload, so that a shot keeps its split when the dataset
grows.
"""

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from factory_pipeline.builds.training_rasters import (
    LABEL_FIELD,
    LABEL_SUFFIX,
    LAYERS,
    SHOT_NUMBER,
    Layer,
    image_suffix,
    sample_rasters,
)
from factory_pipeline.config.build_settings import Modality
from factory_pipeline.config.lenient_keys import fold
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.errors import BuildError, OnboardingError
from factory_pipeline.hdf5.fields import Field
from factory_pipeline.hdf5.opening import fields_of, open_dataset
from factory_pipeline.onboarding.manifest.model import UPLOAD_TYPE, Purpose, UploadManifest
from factory_pipeline.splits.names import SPLITS, TRAIN
from factory_pipeline.splits.split_rule import SPLIT_SPELLINGS, Percentages
from factory_pipeline.storage.atomic import atomic_write, drop_unfinished, write_text
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.version import __version__

MARK = "factory_pipeline"
"""Begins the comment of an archive, and the first line of a manifest, that a build wrote."""
CONNECTOR = "factory_pipeline build"
"""Where the images of such an upload come from, as its manifest says."""
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""Time of every member: the same samples are the same bytes."""
UNIX = 3
"""System that members say they were made on (APPNOTE.TXT 4.4.2), whatever it was."""
RGB = {"B04": "R", "B03": "G", "B02": "B"}


@dataclass(frozen=True)
class GediUpload:
    """An upload of a build in the inbox."""

    archive: Path
    manifest: Path
    samples: dict[str, int]
    """By split of the dataset; those of train are divided into train and validation when it is onboarded."""
    is_new: bool
    """False if it existed already, with the same content."""


def upload_splits(recipe: Recipe) -> dict[str, str]:
    """Split of the onboarded dataset by split of the recipe.

    Raises:
        OnboardingError: SPLIT_INVALID, the recipe has other splits, or none to train on.
    """
    taken = {name: SPLIT_SPELLINGS.get(fold(name), fold(name)) for name in recipe.splits}
    others = [name for name, split in taken.items() if split not in SPLITS]
    if others or TRAIN not in taken.values():
        raise OnboardingError(
            "SPLIT_INVALID",
            f"The recipe {recipe.name} has the splits {', '.join(recipe.splits)}; to be onboarded it needs"
            " train, and may have test and validation, but no other.",
        )
    return taken


def write_gedi_upload(
    fused: Mapping[str, Path],
    recipe: Recipe,
    modalities: Sequence[Modality],
    archive: Path,
    manifest: Path,
) -> GediUpload:
    """Write the samples of a build as an upload; the manifest last, for it starts the onboarding.

    An existing upload of the same samples is left as it is.

    Args:
        fused: fused file by split of the recipe.
        recipe: of the build.
        modalities: what a model gets to see.
        archive: where the archive goes (`.zip`).
        manifest: where the manifest goes, in the same folder.

    Raises:
        OnboardingError: SPLIT_INVALID, as `upload_splits`; NO_FILES, there is no training sample.
        DatasetFileError: a fused file is missing or damaged.
        BuildError: files that no build wrote are at these places.
    """
    taken = upload_splits(recipe)
    shots: dict[str, list[int]] = {split: [] for split in taken.values()}
    for name, split in taken.items():
        shots[split] += _shots(fused[name])
    if not shots[TRAIN]:
        raise OnboardingError("NO_FILES", f"The build of {recipe.name} has no training sample to onboard.")
    samples = {split: len(members) for split, members in shots.items()}
    fields = {field.name: field for field in _fields(fused)}
    text = f"# {MARK}: a build wrote this, and writes it again when its samples change.\n" + yaml.safe_dump(
        _document(recipe, modalities, fields, archive.name, set(shots)), sort_keys=False
    )
    comment = f"{MARK} {_digest(text, fused)}"
    existing = _comment(archive), _text(manifest)
    if existing == (comment, text):
        return GediUpload(archive, manifest, samples, is_new=False)
    _check_ours(existing, archive, manifest)
    drop_unfinished(archive)
    with atomic_write(archive) as temporary, zipfile.ZipFile(temporary, "w") as written:
        written.comment = comment.encode()
        for split in sorted(shots.keys() - {TRAIN}):
            _add(written, _split_file(split), "".join(f"{shot}\n" for shot in shots[split]).encode())
        for path in fused.values():
            for member, content in sample_rasters(path, modalities, fields):
                _add(written, member, content)
    write_text(manifest, text)
    return GediUpload(archive, manifest, samples, is_new=True)


def is_of_build(manifest: UploadManifest) -> bool:
    """Return whether a build wrote an upload: the data lake has its samples as the build's own collection."""
    return any(source.connector == CONNECTOR for source in manifest.data_sources)


def _document(
    recipe: Recipe, modalities: Sequence[Modality], fields: Mapping[str, Field], archive: str, given: set[str]
) -> dict[str, Any]:
    """Return the manifest as plain data; `given` are the splits of the build."""
    window = fields[LABEL_FIELD].shape[-1]
    return {
        "type_of_upload": UPLOAD_TYPE,
        "purpose": Purpose.REGRESSION.value,
        "dataset_url": archive,
        "training_data_suffixes": [image_suffix(modality) for modality in modalities],
        "label_suffix": LABEL_SUFFIX,
        "dataset_name": recipe.name,
        "description": (
            "Aboveground biomass density (Mg/ha) of GEDI footprints, each in the middle of"
            f" {window} x {window} pixels of 10 m. Labels hold it in the pixels that the footprint touches."
        ),
        "data_sources": [
            {
                "modality_tag": modality,
                "connector": CONNECTOR,
                "collection": LAYERS[modality].collection,
                "file_suffix": image_suffix(modality),
                "bands": _bands(LAYERS[modality], fields[LAYERS[modality].field]),
            }
            for modality in modalities
        ],
        "splits": {
            "method": "given",
            **{f"{split}_file": _split_file(split) for split in SPLITS if split in given - {TRAIN}},
            "percentages": _shares(given),
            "seed": recipe.subset.seed,
        },
    }


def _bands(layer: Layer, field: Field) -> list[dict[str, Any]]:
    units = field.units * (len(field.band_names) if len(field.units) == 1 else 1)
    described = list(zip(field.band_names, units, strict=True))[layer.first_band :]
    return [
        {
            "index": index,
            "band_name": name,
            "RGB_band": RGB.get(name),
            "scaling_factor": layer.scaling_factor,
            "description": unit,
        }
        for index, (name, unit) in enumerate(described)
    ]


def _shares(given: set[str]) -> dict[str, float]:
    """Return the usual shares of train and of what the build has no split for, in percent of these."""
    usual = Percentages().model_dump()
    drawn = {split: share for split, share in usual.items() if split == TRAIN or split not in given}
    return {split: 100 * drawn.get(split, 0) / sum(drawn.values()) for split in SPLITS}


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    member = zipfile.ZipInfo(name, ZIP_TIME)
    member.create_system = UNIX
    archive.writestr(member, content)


def _split_file(split: str) -> str:
    return f"splits/{split}.txt"


def _shots(path: Path) -> list[int]:
    with open_dataset(path) as file:
        return list(file[SHOT_NUMBER][:, 0].tolist())


def _fields(fused: Mapping[str, Path]) -> tuple[Field, ...]:
    with open_dataset(next(iter(fused.values()))) as file:
        return fields_of(file)


def _digest(manifest: str, fused: Mapping[str, Path]) -> str:
    """Return what decides the bytes of the archive."""
    digest = hashlib.sha256(f"{__version__}\n{manifest}".encode())
    for path in fused.values():
        digest.update(bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()


def _comment(archive: Path) -> str | None:
    """Return the comment of a zip; None if there is no file, empty if it is not a zip."""
    if not archive.exists():
        return None
    try:
        with zipfile.ZipFile(archive) as listed:
            return listed.comment.decode(errors="replace")
    except zipfile.BadZipFile:
        return ""


def _text(manifest: Path) -> str | None:
    return manifest.read_text(encoding="utf-8", errors="replace") if manifest.exists() else None


def _check_ours(existing: tuple[str | None, str | None], archive: Path, manifest: Path) -> None:
    comment, text = existing
    if comment is not None and not comment.startswith(MARK):
        other = archive
    elif text is not None and not text.startswith(f"# {MARK}"):
        other = manifest
    else:
        return
    raise BuildError(
        f"{other} was written by another program; move it to another folder, or rename the recipe."
    )
