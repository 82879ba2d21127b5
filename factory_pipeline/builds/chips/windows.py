"""The window of a footprint: so many pixels of 10 m, on the pixel grid of its Sentinel-2 product."""

import polars as pl

from factory_pipeline.cog.grid import Grid

PIXEL_SIZE = 10.0
"""Metres; of the Sentinel-2 bands that decide the grid."""


def window_at(product_grid: Grid, row: int, column: int, size: int) -> Grid:
    """Return the window with pixel [row, column] of the product, which has the footprint, in its middle.

    Args:
        product_grid: of the product.
        row: of the pixel with the footprint.
        column: of the pixel with the footprint.
        size: rows and columns of the window, in pixels.
    """
    return product_grid.window(row - size // 2, column - size // 2, size, size)


def window_grids(windows: pl.DataFrame, size: int) -> list[Grid]:
    """Return the windows of a table of Sentinel-2 chips: `epsg`, `left`, `top`.

    Args:
        windows: `epsg`, `left`, `top` (metres in that CRS).
        size: rows and columns, in pixels.
    """
    return [
        Grid(epsg, left, top, PIXEL_SIZE, PIXEL_SIZE, size, size)
        for epsg, left, top in windows.select("epsg", "left", "top").iter_rows()
    ]


def footprint_pixels(size: int) -> tuple[slice, slice]:
    """Return rows and columns of the 4x4 pixels at the footprint: [14:18, 14:18] of a window of 32."""
    around = slice(size // 2 - 2, size // 2 + 2)
    return around, around
