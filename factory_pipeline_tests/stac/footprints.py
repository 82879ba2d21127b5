"""Footprints to search scenes for."""

from datetime import UTC, datetime

import polars as pl

from factory_pipeline.stac.search_cache import GEDI_EPOCH


def footprints(*places: tuple[str, float, float]) -> pl.DataFrame:
    """Footprints at (day, latitude, longitude)."""
    return pl.DataFrame(
        {
            "shot_number": range(len(places)),
            "delta_time": [
                (datetime.fromisoformat(day).replace(tzinfo=UTC) - GEDI_EPOCH).total_seconds()
                for day, *_ in places
            ],
            "lat_lowestmode": [float(latitude) for _, latitude, _ in places],
            "lon_lowestmode": [float(longitude) for *_, longitude in places],
        }
    )


IN_JUNE = footprints(("2020-06-10", 50.9, 2.5))
