"""Labels that are polygons: which windows show them, and the pixels that they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

from factory_pipeline.builds.labels.label_table import LABEL_SCHEMA, LabelTable, RejectLedger, label_table
from factory_pipeline.builds.labels.lattice import covering_windows, project
from factory_pipeline.builds.labels.read_table import read_rows
from factory_pipeline.cog.grid import Grid
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.label_sources import PolygonLabels
from factory_pipeline.config.raster_sources import Window
from factory_pipeline.hdf5.recipe_fields import label_nodata, label_type
from factory_pipeline.stac.tiles import bounds_in_degrees
from factory_pipeline.storage.atomic import atomic_write

LABELLED = 1
"""What is burnt where the labels have no target."""


def read_polygons(labels: PolygonLabels, ledger: RejectLedger) -> LabelTable:
    """Read labels that are polygons, one row each.

    Args:
        labels: the file and its columns.
        ledger: gets those that are left out.

    Raises:
        RecipeError: the file or a column can't be used; see `read_rows` and `label_table`.
    """
    rows = read_rows(labels)
    kinds = shapely.get_type_id(rows.geometries)
    is_polygon = np.isin(kinds, [shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON])
    usable = is_polygon & ~shapely.is_empty(rows.geometries)
    return label_table(rows, labels, np.asarray(usable, dtype=np.bool_), "polygon", ledger)


def windows_of_polygons(found: LabelTable, labels: PolygonLabels, window: Window) -> pl.DataFrame:
    """Return the windows that show polygons, as a table of labels: one per polygon, or a grid over them.

    Polygons that hold at different times are shown by windows of their own.

    Args:
        found: the polygons.
        labels: whether windows are centred or laid as a grid.
        window: of the recipe.
    """
    assert found.geometries is not None
    if labels.windows == "each":
        return found.table
    parts = [pl.DataFrame(schema=LABEL_SCHEMA)]
    numbered = found.table.with_row_index("row")
    times = numbered.group_by("start", "end", maintain_order=True).agg("row").sort("start", "end")
    for number, (start, end, rows) in enumerate(times.iter_rows()):
        cells = covering_windows([found.geometries[row] for row in rows], window)
        kept = cells.filter(pl.col("share") >= labels.min_share)
        suffix = "" if times.height == 1 else f"_{number}"
        parts.append(
            kept.select(
                pl.format("{}{}", "id", pl.lit(suffix)).alias("id"),
                "longitude",
                "latitude",
                pl.lit(start, dtype=LABEL_SCHEMA["start"]).alias("start"),
                pl.lit(end, dtype=LABEL_SCHEMA["end"]).alias("end"),
                pl.lit(None, dtype=pl.Float64).alias("value"),
            )
        )
    return pl.concat(parts)


def overlaps_of(found: LabelTable) -> tuple[str, ...]:
    """Return a remark on polygons that overlap at the same time; none where no two do."""
    assert found.geometries is not None
    one, other = shapely.STRtree(found.geometries).query(found.geometries, predicate="intersects")
    pairs = one < other
    one, other = one[pairs], other[pairs]
    shared = shapely.area(shapely.intersection(found.geometries[one], found.geometries[other])) > 0
    spans = found.table.select("start", "end").rows()
    count = sum(
        _do_meet(spans[first], spans[second])
        for first, second in zip(one[shared].tolist(), other[shared].tolist(), strict=True)
    )
    if not count:
        return ()
    pairs = "1 pair of labels overlaps" if count == 1 else f"{count:,} pairs of labels overlap"
    return (f"{pairs}; where they do, the later row of the file counts.",)


def save_polygons(found: LabelTable, path: Path) -> None:
    """Write the polygons and what is burnt of each, for the extraction of batches.

    Args:
        found: the polygons.
        path: of the file (Parquet).
    """
    table = found.table.select("id", "start", "end", "value").with_columns(
        pl.Series("outline", shapely.to_wkb(found.geometries).tolist(), dtype=pl.Binary)
    )
    with atomic_write(path) as temporary:
        table.write_parquet(temporary, compression="zstd")


@dataclass(frozen=True)
class PolygonBurner:
    """Burns the polygons of a build on windows."""

    table: pl.DataFrame
    outlines: NDArray[np.object_]
    """In degrees, in the order of the file."""
    recipe: DatasetRecipe

    @classmethod
    def load(cls, path: Path, recipe: DatasetRecipe) -> "PolygonBurner":
        """Read what `save_polygons` wrote.

        Args:
            path: of the file.
            recipe: of the build, for the window.
        """
        table = pl.read_parquet(path)
        return cls(table.drop("outline"), shapely.from_wkb(table["outline"].to_numpy()), recipe)

    def burn(self, windows: pl.DataFrame, grids: Sequence[Grid]) -> NDArray[Any]:
        """Burn on each window all polygons that it meets and that hold at its time.

        Where polygons overlap, the later row wins.

        Args:
            windows: `start`, `end` of each.
            grids: of the windows.

        Returns:
            (windows, 1, rows, columns).
        """
        labels = self.recipe.labels
        assert isinstance(labels, PolygonLabels)
        nothing, dtype = label_nodata(self.recipe), label_type(self.recipe)
        size = self.recipe.window.size
        burnt = np.full((len(grids), 1, size, size), nothing, dtype)
        tree = shapely.STRtree(self.outlines)
        bounds = bounds_in_degrees(grids, 0.0)
        spans = self.table.select("start", "end").rows()
        values = self.table["value"].to_list()
        for place, (grid, span) in enumerate(
            zip(grids, windows.select("start", "end").iter_rows(), strict=True)
        ):
            for row in _rows_near(tree, bounds[place]):
                if not _do_meet(spans[row], span):
                    continue
                covered = rasterize(
                    [project(self.outlines[row], grid.epsg)],
                    out_shape=grid.shape,
                    transform=grid.transform,
                    all_touched=labels.all_touched,
                    dtype=np.uint8,
                ).astype(np.bool_)
                burnt[place, 0][covered] = LABELLED if values[row] is None else values[row]
        return burnt


def _rows_near(tree: shapely.STRtree, bounds: NDArray[np.float64]) -> list[int]:
    """Return the outlines whose bounds meet those of a window, which may pass 180 degrees, in their order."""
    west, south, east, north = bounds.tolist()
    turns = np.array([turn for turn in (-360, 0, 360) if west + turn <= 180 and east + turn >= -180])
    _, rows = tree.query(shapely.box(west + turns, south, east + turns, north))
    return list(np.unique(rows).tolist())


def _do_meet(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Return whether two spans share a moment; an open one meets all."""
    if None in (*one, *other):
        return True
    return bool(one[0] <= other[1] and other[0] <= one[1])
