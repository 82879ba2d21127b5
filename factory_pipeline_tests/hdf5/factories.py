"""Samples made from a seed: every value differs from sample to sample, so that a mix-up shows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from pyproj import Transformer

from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.schema import LABEL_NODATA, SCL_CLASSES, TABLE_SCHEMA, WORLDCOVER_CLASSES, Samples

EPSG = 32640


def made_samples(
    count: int, batch: str = "train-00000-0a1b2c3d", seed: int = 0, recipe: Recipe | None = None
) -> Samples:
    """Samples that pass every check, with spatially smooth rasters."""
    recipe = recipe or Recipe()
    rng = np.random.default_rng(seed)
    window, bands = recipe.window_size, len(recipe.sentinel2.bands)
    smooth = np.cumsum(rng.normal(0, 60, (count, bands, window, window)), axis=3)
    base = rng.uniform(200, 3000, (count, bands, 1, 1))
    scl = rng.choice([4, 4, 4, 5], (count, 1, window // 4, window // 4))
    sentinel2 = np.concatenate([blocks(scl, 4), (base + smooth).clip(1, 65_000)], axis=1).astype(np.uint16)
    worldcover = blocks(rng.choice(list(WORLDCOVER_CLASSES), (count, 1, window // 8, window // 8)), 8)
    altitude = 300 + np.cumsum(rng.normal(0, 0.5, (count, 1, window, window)), axis=2)
    slope = rng.uniform(0, 15, (count, 1, window, window))
    agbd = rng.uniform(1, 400, count).astype(np.float32)
    half = window // 2
    label = np.full((count, 1, window, window), LABEL_NODATA, np.float32)
    label[:, :, half - 1 : half + 2, half - 1 : half + 2] = agbd[:, None, None, None]
    return Samples(
        sentinel2=sentinel2,
        worldcover=worldcover.astype(np.uint8),
        copdem=np.concatenate([altitude, slope], axis=1).astype(np.float32),
        label=label,
        table=_table(rng, agbd, sentinel2[:, 0], batch, half),
    )


def named_batch(samples: Samples, batch: str | Sequence[str]) -> Samples:
    """The same samples as if they were of other batches."""
    names = [batch] * len(samples) if isinstance(batch, str) else batch
    return replace(samples, table=samples.table.with_columns(pl.Series("batch", names, dtype=pl.String)))


def part_of(samples: Samples, start: int, stop: int) -> Samples:
    """Some of the samples."""
    return Samples(
        samples.sentinel2[start:stop],
        samples.worldcover[start:stop],
        samples.copdem[start:stop],
        samples.label[start:stop],
        samples.table[start:stop],
    )


def blocks(values: np.ndarray, size: int) -> np.ndarray:
    """Each pixel as a block of size x size."""
    return values.repeat(size, axis=-2).repeat(size, axis=-1)


def _table(
    rng: np.random.Generator, agbd: np.ndarray, scl: np.ndarray, batch: str, half: int
) -> pl.DataFrame:
    count = len(agbd)
    column, row = rng.integers(0, 5000, (2, count))
    left, top = 199_980.0 + 10.0 * column, 4_000_020.0 - 10.0 * row
    inside = rng.uniform(0, 10, (2, count))
    to_degrees = Transformer.from_crs(EPSG, 4326, always_xy=True)
    longitude, latitude = to_degrees.transform(left + 10 * half + inside[0], top - 10 * half - inside[1])
    zero, one = np.zeros(count), np.ones(count)
    transform = np.stack([10 * one, zero, left, zero, -10 * one, top, zero, zero, one], axis=1)
    fractions = np.stack([(scl == code).mean(axis=(1, 2)) for code in range(len(SCL_CLASSES))], axis=1)
    first = rng.integers(10**16, 10**17)
    return pl.DataFrame(
        {
            "shot_number": first + np.arange(count) * 1001,
            "granule": ["GEDI04_A_2020036151358_O06515_02_T03193_02_002_02_V002"] * count,
            "beam": rng.choice(["BEAM0000", "BEAM0101", "BEAM1011"], count).tolist(),
            "acquisition_time": ["2020-02-05T15:13:58Z"] * count,
            "delta_time": 66_150_838.0 + rng.uniform(0, 5000, count),
            "latitude": latitude,
            "longitude": longitude,
            "agbd": agbd,
            "agbd_se": (agbd / 4).astype(np.float32),
            "transform": transform,
            "crs": [f"EPSG:{EPSG}"] * count,
            "scl_fractions": fractions,
            "s2_product": ["S2A_MSIL2A_20200205T070021_N0213_R120_T40SBE_20200929T172310"] * count,
            "s2_item": ["S2A_MSIL2A_20200205T070021_R120_T40SBE_20200929T172310"] * count,
            "baseline": ["02.13"] * count,
            "offset_removed": np.zeros(count, np.int32),
            "dem_tiles": ["Copernicus_DSM_COG_10_N36_00_E053_00_DEM;Copernicus_DSM_COG_10_N36_00_E054_00_DEM"]
            * count,
            "dem_items": ["Copernicus_DSM_COG_10_N36_00_E053_00_DEM;Copernicus_DSM_COG_10_N36_00_E054_00_DEM"]
            * count,
            "worldcover_tiles": ["ESA_WorldCover_10m_2020_v100_N36E051_Map"] * count,
            "worldcover_items": ["ESA_WorldCover_10m_2020_v100_N36E051"] * count,
            "batch": [batch] * count,
        },
        schema=TABLE_SCHEMA,
    )
