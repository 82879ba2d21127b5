"""Which pairs a page previews, and at which size, so that the page stays within its size limit."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from factory_pipeline.onboarding.manifest.model import Purpose, UploadManifest
from factory_pipeline.onboarding.page.layers import (
    Composition,
    color_ramp,
    compositions,
    draw_composition,
    draw_compositions,
    draw_mask,
    draw_values,
)
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.thread_map import map_in_threads

MOST_PAIRS = 48
SIDES = (384, 256, 160, 96)
"""Longer side of a preview in pixels: the first that fits the budget is used."""
DRAWN_AT_ONCE = 4
BUDGET = 12_000_000
"""Bytes of all pictures; as text in the page they need a third more."""
LABEL = "label"

_MEDIA = {LABEL: "image/png"}


@dataclass(frozen=True)
class _Pair:
    row: Mapping[str, Any]
    pictures: dict[str, bytes]


def preview(
    items: pl.LazyFrame,
    split: pl.DataFrame,
    manifest: UploadManifest,
    parameters: TrainingParameters,
    root: Path,
    budget: int = BUDGET,
) -> dict[str, Any]:
    """Return the data of the page's script: layers from top to bottom, and pairs with a picture per layer.

    Args:
        items: of the dataset; of more than MOST_PAIRS, evenly spread ones are used.
        split: `stem`, `split`.
        manifest: with the bands of all sources filled in.
        parameters: define how each band is stretched.
        root: folder that paths start from.
        budget: size limit of all pictures in bytes.

    Returns:
        `layers`: dicts of `id`, `name`, `modality`, `visible`, `opacity`; `pairs`: dicts of `stem`, `name`,
        `split`, `width`, `height`, `pictures` (data URI by layer).
    """
    chosen_items = evenly_spread(items, "stem", MOST_PAIRS)
    frame = chosen_items.join(split, on="stem", how="left", maintain_order="left")
    rows = list(frame.iter_rows(named=True))
    chosen = compositions(manifest.data_sources, parameters)

    def draw(some: Sequence[Mapping[str, Any]], side: int) -> list[_Pair]:
        def pair_of(row: Mapping[str, Any]) -> _Pair:
            return _Pair(row, pictures_of(row, chosen, manifest, parameters, root, side))

        return list(map_in_threads(pair_of, some, DRAWN_AT_ONCE))

    step = max(len(rows) // 4, 1)
    sample: list[_Pair] = []
    side = SIDES[-1]
    for side in SIDES:
        sample = draw(rows[::step], side)
        if _size(sample) * len(rows) < budget * len(sample):
            break
    others = iter(draw([row for number, row in enumerate(rows) if number % step], side))
    drawn = [sample[number // step] if number % step == 0 else next(others) for number in range(len(rows))]
    # The estimate from the sample was too low: every other pair is removed.
    while _size(drawn) > budget:
        drawn = drawn[1::2]
    return {
        "layers": layers(chosen, manifest, any(LABEL in pair.pictures for pair in drawn)),
        "pairs": [
            {
                "stem": pair.row["stem"],
                "name": pair.row["original_name"],
                "split": pair.row["split"],
                "width": pair.row["width"],
                "height": pair.row["height"],
                "pictures": {layer: _data_uri(layer, picture) for layer, picture in pair.pictures.items()},
            }
            for pair in drawn
        ],
    }


def evenly_spread(items: pl.LazyFrame, key: str, most: int) -> pl.DataFrame:
    """Return at most `most` items, evenly spread over the order of a column with unique values.

    Args:
        items: with the column `key`.
        key: name of a column without repeats.
        most: the most items.
    """
    keys = items.select(pl.col(key).sort()).collect().to_series()
    places = np.unique(np.linspace(0, len(keys) - 1, min(most, len(keys))).round().astype(int))
    return items.filter(pl.col(key).is_in(keys[places.tolist()].to_list())).sort(key).collect()


def label_legend(manifest: UploadManifest, parameters: TrainingParameters) -> dict[str, Any] | None:
    """Return the legend of a regression's labels; None for other purposes.

    Args:
        manifest: of the upload.
        parameters: statistics of the labels.

    Returns:
        `low` and `high` in the unit of the labels, and `colors`; None for other purposes.
    """
    if manifest.purpose is not Purpose.REGRESSION or parameters.label is None:
        return None
    low, high = _label_range(parameters)
    return {"low": low, "high": high, "colors": color_ramp()}


def pictures_of(
    row: Mapping[str, Any],
    chosen: Sequence[Composition],
    manifest: UploadManifest,
    parameters: TrainingParameters,
    root: Path,
    side: int,
) -> dict[str, bytes]:
    """Return a picture per layer of one pair, their longer sides `side` pixels: `c0`, `c1`, ... and LABEL.

    Args:
        row: of the table of items: `label`, `images`.
        chosen: the compositions; `c0` is the first.
        manifest: of the upload.
        parameters: statistics of the labels.
        root: folder that the row's paths are relative to.
        side: the most pixels of the longer side.
    """
    drawn: dict[str, bytes] = {}
    for image in row["images"]:
        numbers = [number for number, each in enumerate(chosen) if each.modality == image["modality_tag"]]
        pictures = draw_compositions(root / image["path"], [chosen[number] for number in numbers], side)
        drawn |= {f"c{number}": picture for number, picture in zip(numbers, pictures, strict=True)}
    label = picture_of(row, LABEL, chosen, manifest, parameters, root, side)
    return drawn if label is None else {**drawn, LABEL: label}


def picture_of(
    row: Mapping[str, Any],
    layer: str,
    chosen: Sequence[Composition],
    manifest: UploadManifest,
    parameters: TrainingParameters,
    root: Path,
    side: int,
) -> bytes | None:
    """Return the picture of one layer of a pair, its longer side `side` pixels.

    None if it has no such layer.

    Args:
        row: of the table of items: `label`, `images`.
        layer: `c0`, `c1`, ... or LABEL.
        chosen: the compositions; `c0` is the first.
        manifest: of the upload.
        parameters: statistics of the labels.
        root: folder that the row's paths are relative to.
        side: the most pixels of the longer side.

    Returns:
        WebP of a composition, PNG of a label.
    """
    if layer == LABEL:
        if row["label"] is None:
            return None
        if manifest.purpose is Purpose.REGRESSION:
            return draw_values(root / row["label"], *_label_range(parameters), side)
        categories = manifest.label_categories
        return draw_mask(root / row["label"], categories, side) if categories else None
    composition = next((each for number, each in enumerate(chosen) if layer == f"c{number}"), None)
    if composition is None:
        return None
    paths = {image["modality_tag"]: root / image["path"] for image in row["images"]}
    path = paths.get(composition.modality)
    return None if path is None else draw_composition(path, composition, side)


def layers(chosen: Sequence[Composition], manifest: UploadManifest, labelled: bool) -> list[dict[str, Any]]:
    """Return the layers of a preview from top to bottom.

    Args:
        chosen: the compositions.
        manifest: its categories may have opacities of their own.
        labelled: there is a label layer.

    Returns:
        Dicts of `id`, `name`, `modality`, `visible`, `opacity` (0 to 1).
    """
    listed: list[dict[str, Any]] = []
    if labelled:
        # If the user set opacities of categories, the pictures already have them.
        opacities = [category.opacity for category in manifest.label_categories]
        own = bool(opacities) and max(opacities) < 1
        listed.append(
            {"id": LABEL, "name": "Label", "modality": "", "visible": True, "opacity": 1.0 if own else 0.6}
        )
    for number, composition in enumerate(chosen):
        listed.append(
            {
                "id": f"c{number}",
                "name": composition.name,
                "modality": composition.modality,
                "visible": number == 0,
                "opacity": 1.0,
            }
        )
    return listed


def _label_range(parameters: TrainingParameters) -> tuple[float, float]:
    percentiles = parameters.label.percentiles if parameters.label else {}
    return percentiles.get("p2", 0.0), percentiles.get("p98", 1.0)


def _size(pairs: Sequence[_Pair]) -> int:
    return sum(len(picture) for pair in pairs for picture in pair.pictures.values())


def _data_uri(layer: str, picture: bytes) -> str:
    return f"data:{_MEDIA.get(layer, 'image/webp')};base64,{base64.b64encode(picture).decode()}"
