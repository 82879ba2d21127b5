"""The layers of a preview: band compositions and the label, each as a picture of the same frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from factory_pipeline.imagery.band_statistics import BandStatistics
from factory_pipeline.onboarding.manifest.sections import DataSource, LabelCategory
from factory_pipeline.onboarding.products.terratorch_bands import hls_names
from factory_pipeline.onboarding.products.training_params import TrainingParameters
from factory_pipeline.open_raster import open_raster

LABEL_COLORS = "viridis"
"""Colour map of regression labels."""
MOST_COLORS = 256
"""Of the palette of a PNG."""
_MOST_SINGLE_BANDS = 3


@dataclass(frozen=True)
class Composition:
    """One or three bands of a modality, drawn as a picture."""

    modality: str
    name: str
    bands: tuple[int, ...]
    """Positions in the file: grey, or red, green and blue."""
    stretch: tuple[tuple[float, float], ...]
    """Per band: the values that become black and full intensity."""


def compositions(sources: Sequence[DataSource], parameters: TrainingParameters) -> list[Composition]:
    """Choose compositions: true colour, infrared and short-wave infrared, if there are such bands.

    A modality without any of these shows its first bands, each separately.

    Args:
        sources: of the manifest, with their bands.
        parameters: statistics of the bands, from which the stretch follows.
    """
    found: list[Composition] = []
    for source in sources:
        bands = sorted(source.bands, key=lambda band: band.index)
        band_index: dict[str, int] = {}
        for number, (band, name) in enumerate(zip(bands, hls_names(source), strict=True)):
            band_index[name] = number
            if band.rgb_band:
                band_index[band.rgb_band] = number
        nir = "NIR_NARROW" if "NIR_NARROW" in band_index else "NIR_BROAD"
        swir = "SWIR_2" if "SWIR_2" in band_index else "SWIR_1"
        wanted = {
            "True colour": ("R", "G", "B"),
            "Infrared": (
                nir,
                "RED" if "RED" in band_index else "R",
                "GREEN" if "GREEN" in band_index else "G",
            ),
            "Short-wave infrared": (swir, nir, "RED" if "RED" in band_index else "R"),
        }
        chosen = {
            name: tuple(band_index[key] for key in keys)
            for name, keys in wanted.items()
            if all(key in band_index for key in keys)
        } or {band.band_name: (number,) for number, band in enumerate(bands[:_MOST_SINGLE_BANDS])}
        statistics = parameters.of(source.modality_tag)
        found += [
            Composition(source.modality_tag, name, numbers, tuple(_stretch(statistics[n]) for n in numbers))
            for name, numbers in chosen.items()
        ]
    return found


def draw_composition(path: Path, composition: Composition, side: int) -> bytes:
    """Draw a WebP picture, its longer side at most `side` pixels; no data is transparent.

    Args:
        path: of the raster.
        composition: its bands and their stretch.
        side: the most pixels of the longer side.
    """
    return draw_compositions(path, [composition], side)[0]


def draw_compositions(path: Path, drawn: Sequence[Composition], side: int) -> list[bytes]:
    """Draw several compositions of a raster, as `draw_composition`; each of its bands is read once.

    Args:
        path: of the raster.
        drawn: compositions of its modality.
        side: the most pixels of the longer side.
    """
    bands = sorted({band for composition in drawn for band in composition.bands})
    with open_raster(path) as source:
        values = source.read(
            [band + 1 for band in bands],
            out_shape=(len(bands), *_shape(source, side)),
            masked=True,
            resampling=Resampling.average,
        )
    found = dict(zip(bands, values, strict=True))
    return [_draw([found[band] for band in each.bands], each.stretch) for each in drawn]


def _draw(bands: Sequence[np.ma.MaskedArray], stretch: Sequence[tuple[float, float]]) -> bytes:
    grey = []
    seen = np.ones(bands[0].shape, dtype=np.bool_)
    for band, (low, high) in zip(bands, stretch, strict=True):
        pixels = np.ma.filled(band.astype(np.float32), np.nan)
        seen &= np.isfinite(pixels)
        grey.append(np.nan_to_num(np.clip((pixels - low) / (high - low), 0, 1)) * 255)
    channels = grey if len(grey) == 3 else grey * 3
    pixels = np.stack([*channels, seen * 255.0], axis=-1).astype(np.uint8)
    # The effort of method 4, the default, takes three times as long for pictures that are 8 % smaller.
    return _encode_image(Image.fromarray(pixels), "WEBP", quality=78, method=0)


def draw_mask(path: Path, categories: Sequence[LabelCategory], side: int) -> bytes:
    """Draw a mask as PNG in the colours and opacities of its categories; all else is transparent.

    Args:
        path: of the raster; only its first band is read.
        categories: of the manifest; an `id` is a pixel value.
        side: the most pixels of the longer side.
    """
    values, valid = _label(path, side)
    colors = np.zeros((len(categories) + 1, 4), dtype=np.uint8)
    numbers = np.zeros(values.shape, dtype=np.uint16)
    for number, category in enumerate(categories, 1):
        red, green, blue = (int(category.color[start : start + 2], 16) for start in (1, 3, 5))
        colors[number] = (red, green, blue, round(category.opacity * 255))
        numbers[valid & (values == category.id)] = number
    if len(colors) > MOST_COLORS:
        return _encode_palette(colors[numbers])
    picture = Image.fromarray(numbers.astype(np.uint8))
    picture.putpalette(colors[:, :3].tobytes())
    return _encode_image(picture, "PNG", transparency=colors[:, 3].tobytes(), compress_level=6)


def draw_values(path: Path, low: float, high: float, side: int) -> bytes:
    """Draw regression labels as PNG in LABEL_COLORS between two values; no data is transparent.

    Args:
        path: of the raster; only its first band is read.
        low: value of the first colour.
        high: value of the last colour.
        side: the most pixels of the longer side.
    """
    values, valid = _label(path, side)
    shade = np.clip((values.astype(np.float64) - low) / max(high - low, 1e-12), 0, 1)
    pixels = (_label_colors(np.where(valid, shade, 0)) * 255).astype(np.uint8)
    pixels[..., 3] = np.where(valid, 255, 0)
    return _encode_palette(pixels)


def _label_colors(shade: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (..., 4) colours of LABEL_COLORS, all from 0 to 1, for shades from 0 to 1."""
    import matplotlib  # takes half a second, and most commands draw nothing

    colors: NDArray[np.float64] = matplotlib.colormaps[LABEL_COLORS](shade)
    return colors


def color_ramp(steps: int = 9) -> list[str]:
    """Return colours of LABEL_COLORS from low to high, for a legend."""
    colors = _label_colors(np.linspace(0, 1, steps))[:, :3] * 255
    return ["#{:02x}{:02x}{:02x}".format(*(round(channel) for channel in color)) for color in colors]


def _stretch(band: BandStatistics) -> tuple[float, float]:
    """Return the 2nd and the 98th percentile of the training pixels."""
    low, high = band.percentiles.get("p2", 0.0), band.percentiles.get("p98", 1.0)
    return (low, high) if high > low else (low, low + 1)


def _label(path: Path, side: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return values of the first band, nearest to the picture's pixels, and whether each is valid."""
    with open_raster(path) as source:
        values = source.read(1, out_shape=_shape(source, side), masked=True, resampling=Resampling.nearest)
    filled = np.ma.getdata(values)
    valid = ~np.ma.getmaskarray(values)
    return (filled, valid & np.isfinite(filled)) if filled.dtype.kind == "f" else (filled, valid)


def _shape(source: rasterio.DatasetReader, side: int) -> tuple[int, int]:
    shrink = min(1.0, side / max(source.height, source.width))
    return max(round(source.height * shrink), 1), max(round(source.width * shrink), 1)


def _encode_palette(pixels: NDArray[np.uint8]) -> bytes:
    """Encode red, green, blue and alpha as a PNG of 256 colours.

    At the highest compression level, noise takes 15 times as long and is hardly smaller.
    """
    picture = Image.fromarray(pixels).quantize(256, method=Image.Quantize.FASTOCTREE)
    return _encode_image(picture, "PNG", compress_level=6)


def _encode_image(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
