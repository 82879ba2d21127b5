"""Which pairs a page previews, and how small, so that the page stays within its size."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from factory_pipeline.imagery.parallel_map import in_order
from factory_pipeline.onboarding.manifest.model import Purpose, UploadManifest
from factory_pipeline.onboarding.page.layers import (
    Composition,
    color_ramp,
    compositions,
    draw_composition,
    draw_mask,
    draw_values,
)
from factory_pipeline.onboarding.products.training_params import TrainingParameters

MOST_PAIRS = 48
SIDES = (384, 256, 160, 96)
"""Longer side of a preview in pixels: the first that fits the budget is taken."""
DRAWN_AT_ONCE = 4
BUDGET = 12_000_000
"""Bytes of all pictures; as text in the page they take a third more."""
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
    """What the script of the page shows: layers from top to bottom, and pairs with a picture per layer.

    Args:
        items: of the dataset; of more than MOST_PAIRS, evenly spread ones are taken.
        split: `stem`, `split`.
        manifest: with the bands of all sources filled in.
        parameters: decide how each band is stretched.
        root: folder that paths start from.
        budget: most bytes of all pictures.

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

        return list(in_order(pair_of, some, DRAWN_AT_ONCE))

    sample = rows[:: max(len(rows) // 4, 1)]
    side = next(
        (side for side in SIDES if _size(draw(sample, side)) * len(rows) < budget * len(sample)), SIDES[-1]
    )
    drawn = draw(rows, side)
    # The sample promised too much: every other pair goes.
    while _size(drawn) > budget:
        drawn = drawn[1::2]
    return {
        "layers": _layers(chosen, manifest, any(LABEL in pair.pictures for pair in drawn)),
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
    """At most so many items, evenly spread over the order of a column that tells them apart."""
    keys = items.select(pl.col(key).sort()).collect().to_series()
    places = np.unique(np.linspace(0, len(keys) - 1, min(most, len(keys))).round().astype(int))
    return items.filter(pl.col(key).is_in(keys[places.tolist()].to_list())).sort(key).collect()


def label_legend(manifest: UploadManifest, parameters: TrainingParameters) -> dict[str, Any] | None:
    """How the colours of a regression's labels read; None for other purposes."""
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
    """A picture per layer of one pair, their longer sides `side` pixels: `c0`, `c1`, ... and LABEL."""
    paths = {image["modality_tag"]: root / image["path"] for image in row["images"]}
    pictures = {
        f"c{number}": draw_composition(paths[composition.modality], composition, side)
        for number, composition in enumerate(chosen)
        if composition.modality in paths
    }
    if row["label"] is None:
        return pictures
    if manifest.purpose is Purpose.REGRESSION:
        pictures[LABEL] = draw_values(root / row["label"], *_label_range(parameters), side)
    elif manifest.label_categories:
        pictures[LABEL] = draw_mask(root / row["label"], manifest.label_categories, side)
    return pictures


def _layers(chosen: Sequence[Composition], manifest: UploadManifest, labelled: bool) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = []
    if labelled:
        # Where the user asked for see-through categories, the pictures already are.
        opacities = [category.opacity for category in manifest.label_categories]
        own = bool(opacities) and max(opacities) < 1
        layers.append(
            {"id": LABEL, "name": "Label", "modality": "", "visible": True, "opacity": 1.0 if own else 0.6}
        )
    for number, composition in enumerate(chosen):
        layers.append(
            {
                "id": f"c{number}",
                "name": composition.name,
                "modality": composition.modality,
                "visible": number == 0,
                "opacity": 1.0,
            }
        )
    return layers


def _label_range(parameters: TrainingParameters) -> tuple[float, float]:
    percentiles = parameters.label.percentiles if parameters.label else {}
    return percentiles.get("p2", 0.0), percentiles.get("p98", 1.0)


def _size(pairs: Sequence[_Pair]) -> int:
    return sum(len(picture) for pair in pairs for picture in pair.pictures.values())


def _data_uri(layer: str, picture: bytes) -> str:
    return f"data:{_MEDIA.get(layer, 'image/webp')};base64,{base64.b64encode(picture).decode()}"
