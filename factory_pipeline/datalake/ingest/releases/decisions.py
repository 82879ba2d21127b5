"""What is decided once for a whole release: the form of its labels, and what their coordinates are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from factory_pipeline.datalake.ingest.releases.form import LABEL_COORDINATES, LabelCoordinates, MlType
from factory_pipeline.datalake.ingest.releases.placement import PlacedBy
from factory_pipeline.datalake.ingest.releases.problems import Problem, refuse
from factory_pipeline.errors import OnboardingError

META_KEYS = ("mlType", "mltype", "ml_type", "MLType")


@dataclass(frozen=True)
class Decision:
    """A value with the reason for it."""

    value: Any
    why: str
    """Such as `meta.json says so`."""


def parse_ml_type(text: object) -> MlType | None:
    """Return the form of labels that a text names, with blanks or underscores; None where it names none."""
    folded = re.sub(r"[\s_-]+", "_", str(text).strip().lower())
    return MlType(folded) if folded in list(MlType) else None


def decide_ml_type(
    meta: Mapping[str, Any], given: MlType | None, facts: pl.DataFrame, archive: str
) -> Decision:
    """Decide what the labels are for: by meta.json, else as given, else by the values.

    Args:
        meta: the content of meta.json; empty where there is none.
        given: by the user.
        facts: of the pairs that can be taken.
        archive: what messages call it.

    Raises:
        OnboardingError: CHECK_FAILED, meta.json names another one.
    """
    stated = next((meta[key] for key in META_KEYS if meta.get(key) is not None), None)
    if stated is not None:
        known = parse_ml_type(stated)
        if known is None:
            raise OnboardingError(
                "CHECK_FAILED",
                f"The release {archive} can't be imported: meta.json has the mlType {stated!r}; allowed are"
                f" {', '.join(MlType)}.",
            )
        return Decision(known, "meta.json says so")
    if given is not None:
        return Decision(given, "as given by --mltype")
    if facts["drawn"].null_count() < facts.height:
        if facts["are_boxes"].all():
            return Decision(MlType.OBJECT_DETECTION, "inferred: all labels are axis-parallel boxes")
        return Decision(MlType.SEGMENTATION, "inferred: labels are polygons")
    if facts["not_binary"].null_count() < facts.height:
        return Decision(MlType.REGRESSION, "inferred: labels are numbers other than 0 and 1")
    return Decision(MlType.CLASSIFICATION, "inferred: labels are 0 or 1")


def misfits(facts: pl.DataFrame, ml_type: MlType) -> list[Problem]:
    """Return the files whose labels are not of the form that was decided.

    Args:
        facts: of all pairs.
        ml_type: what labels are for.
    """
    column, has = {
        MlType.CLASSIFICATION: ("not_binary", "a number other than 0 and 1"),
        MlType.SEGMENTATION: ("not_zero", "a number"),
        MlType.OBJECT_DETECTION: ("not_zero", "a number"),
        MlType.REGRESSION: ("drawn", "geometries"),
    }[ml_type]
    found = [
        _misfit(file, name, has, ml_type)
        for file, name in facts.select("label", column).drop_nulls().iter_rows()
    ]
    if ml_type is MlType.CLASSIFICATION:
        drawn = facts.select("label", "drawn").drop_nulls().iter_rows()
        found += [_misfit(file, name, "geometries", ml_type) for file, name in drawn]
    return found


def _misfit(file: str, name: str, has: str, ml_type: MlType) -> Problem:
    return Problem(file, f"has {has} as the label of {name!r}, which is no label for {ml_type.value}")


def has_stated_coordinates(meta: Mapping[str, Any], given: LabelCoordinates | None) -> bool:
    """Whether the user or meta.json says what the coordinates of labels are.

    Args:
        meta: of meta.json.
        given: by the user; None if not given.
    """
    return given is not None or meta.get(LABEL_COORDINATES) in list(LabelCoordinates)


def decide_coordinates(
    meta: Mapping[str, Any], given: LabelCoordinates | None, facts: pl.DataFrame, archive: str
) -> Decision:
    """Decide what the coordinates of labels under an outline are.

    They are as given, else as meta.json says, else the one reading under which every label is in its image.

    Args:
        meta: as for `decide_ml_type`.
        given: by the user.
        facts: of the pairs that can be taken; those whose labels fit no reading are left out before.
        archive: what messages call it.

    Raises:
        OnboardingError: CHECK_FAILED, both readings fit, or some files fit only one and some only the other.
    """
    if given is not None:
        return Decision(given, "as given by --label-coordinates")
    stated = meta.get(LABEL_COORDINATES)
    if stated in list(LabelCoordinates):
        return Decision(LabelCoordinates(stated), "meta.json says so")
    labelled = facts.filter(pl.col("drawn").is_not_null(), pl.col("placed_by") != PlacedBy.NOTHING.name)
    if labelled.is_empty():
        return Decision(LabelCoordinates.PIXEL, "no label on an image with an outline has coordinates")
    degrees, pixels = bool(labelled["fits_degrees"].all()), bool(labelled["fits_pixels"].all())
    if degrees and pixels:
        raise OnboardingError(
            "CHECK_FAILED",
            f"The release {archive} can't be imported: its labels are in their images both if their"
            " coordinates are degrees and if they are pixels; say which by --label-coordinates geographic or"
            " pixel.",
        )
    if degrees:
        return Decision(LabelCoordinates.GEOGRAPHIC, "every label is inside its outline in degrees")
    if pixels:
        return Decision(LabelCoordinates.PIXEL, "every label is inside its image in pixels")
    only = [
        Problem(row["label"], f"has labels that are in its image in {form} only")
        for form, column in (("degrees", "fits_pixels"), ("pixels", "fits_degrees"))
        for row in labelled.filter(~pl.col(column)).head(2).iter_rows(named=True)
    ]
    raise refuse(archive, only, skippable=False)


def find_outside(facts: pl.DataFrame, coordinates: LabelCoordinates | None) -> list[Problem]:
    """Return the files with a label outside of its image.

    Args:
        facts: of pairs that can be read.
        coordinates: as they are read; None where that is not decided: those that fit no reading.
    """
    is_placed = pl.col("placed_by") != PlacedBy.NOTHING.name
    by_degrees = pl.col("fits_degrees") & is_placed
    fits = {
        None: pl.col("fits_pixels") | by_degrees,
        LabelCoordinates.PIXEL: pl.col("fits_pixels"),
        LabelCoordinates.GEOGRAPHIC: pl.when(is_placed).then("fits_degrees").otherwise("fits_pixels"),
    }[coordinates]
    how = {None: "", LabelCoordinates.PIXEL: " in pixels", LabelCoordinates.GEOGRAPHIC: " in degrees"}
    return [
        Problem(file, f"has a label outside of its image{how[coordinates]}")
        for (file,) in facts.filter(~fits).select("label").iter_rows()
    ]


def odd_images(facts: pl.DataFrame) -> list[Problem]:
    """Return the images whose size, bands or type is not that of most."""
    kind = ["width", "height", "bands", "dtype"]
    if facts.is_empty():
        return []
    counts = facts.group_by(kind, maintain_order=True).agg(pl.len(), pl.col("stem").first())
    usual = counts.sort("len", "stem", descending=[True, False]).row(0, named=True)
    odd = facts.filter(~pl.all_horizontal([pl.col(name) == usual[name] for name in kind]))

    def describe_image(row: Mapping[str, Any]) -> str:
        return f"{row['width']} x {row['height']} pixels in {row['bands']} bands of {row['dtype']}"

    return [
        Problem(row["image"], f"has {describe_image(row)}, most images have {describe_image(usual)}")
        for row in odd.iter_rows(named=True)
    ]
