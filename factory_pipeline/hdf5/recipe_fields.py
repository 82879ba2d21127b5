"""What a dataset file of a recipe holds: every source of it, the label, and where both came from.

data/<source>        (N, steps, bands, rows, columns), or (N, bands, rows, columns) of one step
data/<source>_mask   (N, steps, rows, columns), or (N, rows, columns): 1 where all bands hold data
data/<source>_times  (N, steps): microseconds since 1970 UTC
data/label           (N, 1): a number, or the code of a class
extra/<column>       (N, 1): what the recipe carries along
provenance/...       id, position, STAC items, batch
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.gedi_labels import GediLabels
from factory_pipeline.config.source_layout import SourceLayout, source_layouts
from factory_pipeline.hdf5.fields import DATA, PROVENANCE, Field, encode_text, text_dtype, text_field

EXTRA = "extra"
"""The group of the columns that a recipe carries along."""
LABEL = "label"
ITEM_LENGTH = 256
"""Bytes of the ids of the items of one step."""
COMPOSITE_LENGTH = 2048
"""The same of a composite; of more items those at the end are counted."""
ID_LENGTH = 128
TEXT_LENGTH = 256
"""Bytes of a text that is carried along."""
NO_LABEL = -1


@dataclass(frozen=True)
class SourceSamples:
    """What samples show of one source."""

    values: NDArray[Any]
    """(N, steps, bands, rows, columns)."""
    valid: NDArray[np.bool_]
    """(N, steps, rows, columns)."""
    times: NDArray[np.int64]
    """(N, steps) microseconds since 1970 UTC."""
    items: list[list[str]]
    """Ids of the STAC items of each sample and step."""


@dataclass(frozen=True)
class RecipeSamples:
    """The accepted samples of a batch, in their order."""

    sources: Mapping[str, SourceSamples]
    table: pl.DataFrame
    """`id`, `longitude`, `latitude`, `value`, `crs`, `transform`, `batch`; `extra:region` and the like."""

    labels: NDArray[Any] | None = None
    """(N, 1, rows, columns) where labels are rasters."""

    def __len__(self) -> int:
        return self.table.height


def recipe_fields(recipe: DatasetRecipe, extra: Mapping[str, np.dtype[Any]]) -> tuple[Field, ...]:
    """Return every dataset of a file, in the order in which they are made.

    Args:
        recipe: of the dataset.
        extra: columns that are carried along, with their types in the file.
    """
    layouts = source_layouts(recipe)
    return (
        *(field for layout in layouts for field in _source_fields(layout)),
        _label_field(recipe, extra),
        _table_field(DATA, "Transforms", "<f8", "Affine transform of the window, row-major", "transform", 9),
        text_field(DATA, "CRS", 16, "EPSG identifier of the window's CRS", "crs"),
        *(_extra_field(name, dtype, recipe) for name, dtype in extra.items()),
        text_field(PROVENANCE, "Id", ID_LENGTH, "Label, as its file names it", "id"),
        Field(
            PROVENANCE,
            "Lat Lon",
            np.dtype("<f8"),
            (2,),
            "Centre of the label, WGS 84",
            lambda samples: samples.table.select("latitude", "longitude").to_numpy(),
            units=("degrees",),
            band_names=("latitude", "longitude"),
        ),
        *(_items_field(layout) for layout in layouts),
        text_field(PROVENANCE, "Batch", 128, "Batch that the sample was extracted in", "batch"),
    )


def extra_type(dtype: pl.DataType) -> np.dtype[Any]:
    """Return the type in the file of a column that is carried along: times and all else become text.

    That of several values per label has a shape: see `numpy.dtype.subdtype`.
    """
    if isinstance(dtype, pl.Array):
        return np.dtype(("<f4", dtype.shape))
    if dtype.is_integer():
        return np.dtype("<i8")
    if dtype.is_float():
        return np.dtype("<f8")
    if dtype == pl.Boolean:
        return np.dtype("u1")
    return text_dtype(TEXT_LENGTH)


def extra_types_of(file: h5py.File) -> dict[str, np.dtype[Any]]:
    """Return the columns that a file carries along, with their types."""
    group = file.get(EXTRA)
    if not isinstance(group, h5py.Group):
        return {}
    return {
        name: stored.dtype if stored.shape[1:] == (1,) else np.dtype((stored.dtype, stored.shape[1:]))
        for name, stored in group.items()
    }


def _source_fields(layout: SourceLayout) -> tuple[Field, ...]:
    name, steps = layout.name, layout.count_of_steps
    ground = (layout.size, layout.size)
    about: dict[str, Any] = {
        "bands": list(layout.bands),
        "units_of_bands": list(layout.units),
        "nodata_of_bands": np.array(layout.nodata, dtype=np.float64),
        "scale": np.array(layout.scales, dtype=np.float64),
        "offset": np.array(layout.offsets, dtype=np.float64),
        "axes": "TCYX" if steps > 1 else "CYX",
        "pixel_size": layout.pixel_size,
    }
    for band, asset in layout.assets.items():
        named = asset.classes or asset.bits
        if named:
            about[f"{'classes' if asset.classes else 'bits'}_of_{band}"] = [
                f"{code} {meaning}" for code, meaning in named.items()
            ]
    return (
        Field(
            DATA,
            name,
            layout.dtype.newbyteorder("<"),
            layout.shape,
            layout.collection.title,
            lambda samples: samples.sources[name].values.reshape(-1, *layout.shape),
            attributes=about,
        ),
        Field(
            DATA,
            f"{name}_mask",
            np.dtype("u1"),
            (steps, *ground) if steps > 1 else ground,
            f"1 where all bands of {name} hold data and show the ground",
            lambda samples: _squeeze(samples.sources[name].valid.view(np.uint8), steps),
        ),
        Field(
            DATA,
            f"{name}_times",
            np.dtype("<i8"),
            (steps,),
            f"When {name} was taken, since 1970-01-01 UTC; the lowest number where there is nothing",
            lambda samples: samples.sources[name].times,
            units=("us",),
        ),
    )


def _squeeze(values: NDArray[Any], steps: int) -> NDArray[Any]:
    return values if steps > 1 else values[:, 0]


def _label_field(recipe: DatasetRecipe, extra: Mapping[str, np.dtype[Any]]) -> Field:
    target = recipe.labels.target
    if recipe.labels.is_raster:
        return _label_raster_field(recipe)
    if target is not None and target.column in extra and extra[target.column].subdtype is not None:
        # A profile is a column too: a table of labels has one number per label.
        column = _extra_field(target.column, extra[target.column], recipe)
        return replace(column, group=DATA, name=LABEL)
    if target is not None and target.classes is None:
        return Field(
            DATA,
            LABEL,
            np.dtype("<f4"),
            (1,),
            target.column,
            lambda samples: samples.table["value"].to_numpy().astype(np.float32).reshape(-1, 1),
            units=(target.unit,) if target.unit else (),
        )
    classes = {} if target is None or target.classes is None else target.classes
    return Field(
        DATA,
        LABEL,
        np.dtype("<i4"),
        (1,),
        "No label" if target is None else target.column,
        lambda samples: samples.table["value"].fill_null(NO_LABEL).to_numpy().astype(np.int32).reshape(-1, 1),
        attributes={"classes": [f"{code} {name}" for code, name in classes.items()]} if classes else {},
    )


def label_nodata(recipe: DatasetRecipe) -> float:
    """Return what a pixel without a label holds: NaN of numbers, 0 of classes, or -1 where 0 is a class."""
    target = recipe.labels.target
    if target is not None and target.classes is None:
        return float("nan")
    return NO_LABEL if target is not None and 0 in (target.classes or {}) else 0


def label_type(recipe: DatasetRecipe) -> np.dtype[Any]:
    """Return the type of the pixels of a label."""
    return np.dtype("<f4" if math.isnan(label_nodata(recipe)) else "<i4")


def _label_raster_field(recipe: DatasetRecipe) -> Field:
    target, size = recipe.labels.target, recipe.window.size
    classes = target.classes if target is not None else {1: "labelled"}
    named = [f"{code} {name}" for code, name in (classes or {}).items()]
    return Field(
        DATA,
        LABEL,
        label_type(recipe),
        (1, size, size),
        "Label of every pixel" if target is None else f"{target.column} of every pixel",
        lambda samples: samples.labels,
        units=(target.unit,) if target is not None and target.unit else (),
        nodata=label_nodata(recipe),
        attributes={"classes": named} if named else {},
    )


def _items_field(layout: SourceLayout) -> Field:
    name, steps = layout.name, layout.count_of_steps
    length = ITEM_LENGTH if layout.source.composite == "none" else COMPOSITE_LENGTH

    def values(samples: RecipeSamples) -> NDArray[np.generic]:
        texts = [item for of_sample in samples.sources[name].items for item in of_sample]
        shortened = [_shorten_items(text, length) for text in texts]
        return encode_text(f"{name} items", shortened, length).reshape(-1, steps)

    return Field(PROVENANCE, f"{name} Items", text_dtype(length), (steps,), "STAC items, joined by ;", values)


def _shorten_items(text: str, length: int) -> str:
    """Return as many ids as fit, then how many more there are: `a;b;+37 more`."""
    if len(text.encode()) <= length:
        return text
    ids = text.split(";")
    fitting = (";".join([*ids[:kept], f"+{len(ids) - kept} more"]) for kept in range(len(ids) - 1, -1, -1))
    return next(shorter for shorter in fitting if len(shorter.encode()) <= length)


def _table_field(group: str, name: str, dtype: str, description: str, column: str, count: int) -> Field:
    return Field(
        group,
        name,
        np.dtype(dtype),
        (count,),
        description,
        lambda samples: samples.table[column].to_numpy().reshape(-1, count),
    )


def _extra_field(name: str, dtype: np.dtype[Any], recipe: DatasetRecipe) -> Field:
    base, shape = dtype.subdtype or (dtype, (1,))

    def values(samples: RecipeSamples) -> NDArray[np.generic]:
        column = samples.table[f"{EXTRA}:{name}"]
        if dtype.kind == "S":
            texts = [_format_value(value) for value in column]
            return encode_text(name, texts, dtype.itemsize).reshape(-1, 1)
        if dtype.subdtype is not None:
            return column.to_numpy().astype(base).reshape(-1, *shape)
        if dtype.kind == "f":
            return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(-1, 1)
        return column.fill_null(0).to_numpy().astype(dtype).reshape(-1, 1)

    described = recipe.labels.described(name) if isinstance(recipe.labels, GediLabels) else None
    if described is None:
        return Field(EXTRA, name, base, shape, f"Column {name} of the labels", values)
    return Field(
        EXTRA,
        name,
        base,
        shape,
        described.title,
        values,
        units=(described.unit,) if described.unit else (),
        attributes=described.attributes,
    )


def _format_value(value: Any) -> str:
    """Return a value as text; nothing where it is missing."""
    if value is None:
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
