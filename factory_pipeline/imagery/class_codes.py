"""Which bands hold codes of classes, by their names: half of a code has no meaning."""

from factory_pipeline.imagery.band_steps import bare_band

CLASS_CODES = frozenset(
    {"scl", "land cover", "landcover", "worldcover", "lulc", "qa60", "qa_pixel", "fmask", "clm"}
)
"""Names of bands or modalities, in lower case, whose pixels are codes: Sentinel-2's scene classes, land
cover, quality flags.
"""
ENDING = " codes"
"""Ends the name of a band of codes that is not among these."""


def holds_codes(modality: str, band: str) -> bool:
    """Return whether the pixels of a band are codes of classes or flags, according to its name.

    Args:
        modality: name of the raster's modality, such as `worldcover`; case is ignored.
        band: name of the band, with or without its prefix; case is ignored.
    """
    name = bare_band(band).lower()
    return bool({modality.lower(), name} & CLASS_CODES) or name.endswith(ENDING)


def code_band(name: str) -> str:
    """Return the name of a band of codes by which `holds_codes` knows it."""
    return name if holds_codes("", name) else f"{name}{ENDING}"
