"""The bands of an upload as TerraTorch names them, and which of them are shown as red, green and blue."""

import re

from factory_pipeline.imagery.band_steps import split_steps
from factory_pipeline.onboarding.manifest.sections import DataSource

_BAND_WORDS = {
    "coastal": "COASTAL_AEROSOL",
    "coastal_aerosol": "COASTAL_AEROSOL",
    "blue": "BLUE",
    "green": "GREEN",
    "red": "RED",
    "rededge1": "RED_EDGE_1",
    "rededge2": "RED_EDGE_2",
    "rededge3": "RED_EDGE_3",
    "red_edge_1": "RED_EDGE_1",
    "red_edge_2": "RED_EDGE_2",
    "red_edge_3": "RED_EDGE_3",
    "nir": "NIR_BROAD",
    "nir_broad": "NIR_BROAD",
    "nir08": "NIR_NARROW",
    "nir_narrow": "NIR_NARROW",
    "swir16": "SWIR_1",
    "swir_1": "SWIR_1",
    "swir1": "SWIR_1",
    "swir22": "SWIR_2",
    "swir_2": "SWIR_2",
    "swir2": "SWIR_2",
    "water_vapor": "WATER_VAPOR",
    "cirrus": "CIRRUS",
}
_SENTINEL2_BANDS = {
    "1": "COASTAL_AEROSOL",
    "2": "BLUE",
    "3": "GREEN",
    "4": "RED",
    "5": "RED_EDGE_1",
    "6": "RED_EDGE_2",
    "7": "RED_EDGE_3",
    "8": "NIR_BROAD",
    "8A": "NIR_NARROW",
    "9": "WATER_VAPOR",
    "10": "CIRRUS",
    "11": "SWIR_1",
    "12": "SWIR_2",
}


def hls_names(source: DataSource) -> list[str]:
    """Return the bands of a source in the order of the file, by TerraTorch's own names if they have one.

    Numbered bands are translated for Sentinel-2 only: other sensors number other bands.
    """
    numbered = "sentinel-2" in source.collection.lower() or re.fullmatch(
        r"(?i)(s2|sentinel[-_]?2)\w*", source.modality_tag
    )
    names: list[str] = []
    for band in sorted(source.bands, key=lambda band: band.index):
        word = _BAND_WORDS.get(re.sub(r"[^a-z0-9]+", "_", band.band_name.lower()).strip("_"))
        code = re.fullmatch(r"(?i)b0?(\d+a?)", band.band_name)
        if word is None and code and numbered:
            word = _SENTINEL2_BANDS.get(code[1].upper())
        names.append(word if word and word not in names else band.band_name)
    return names


def step_source(source: DataSource) -> tuple[DataSource, int]:
    """Return a source with the bands of one step of its series, and the number of steps; 1 of no series."""
    bands = sorted(source.bands, key=lambda band: band.index)
    names, steps = split_steps([band.band_name for band in bands])
    if steps == 1:
        return source, 1
    first = [
        band.model_copy(update={"band_name": name})
        for name, band in zip(names, bands[: len(names)], strict=True)
    ]
    return source.model_copy(update={"bands": first}), steps


def rgb_indices(source: DataSource) -> list[int]:
    """Return the positions of red, green and blue, else of the first bands, always three."""
    bands = sorted(source.bands, key=lambda band: band.index)
    position: dict[str | None, int] = {band.rgb_band: index for index, band in enumerate(bands)}
    if all(channel in position for channel in "RGB"):
        return [position[channel] for channel in "RGB"]
    return [min(index, len(bands) - 1) for index in range(3)]


def has_rgb(source: DataSource) -> bool:
    """Return whether bands are declared as red, green and blue."""
    return {"R", "G", "B"} <= {band.rgb_band for band in source.bands}
