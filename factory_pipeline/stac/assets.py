"""Which asset of an item is which of our rasters, whatever a catalog calls it."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from factory_pipeline.stac.providers import LayerSource

PUBLIC_URLS: Mapping[str, str] = MappingProxyType(
    {
        "s3://copernicus-dem-30m/": "https://copernicus-dem-30m.s3.eu-central-1.amazonaws.com/",
        "s3://esa-worldcover/": "https://esa-worldcover.s3.eu-central-1.amazonaws.com/",
        "s3://sentinel-cogs/": "https://sentinel-cogs.s3.us-west-2.amazonaws.com/",
    }
)
"""Start of an href -> the address at which the same public bucket is read without an account."""

_NAMES: Mapping[str, tuple[str, ...]] = {
    "B01": ("b01", "b1", "coastal"),
    "B02": ("b02", "b2", "blue"),
    "B03": ("b03", "b3", "green"),
    "B04": ("b04", "b4", "red"),
    "B05": ("b05", "b5", "rededge1", "rededge071", "red_edge_1"),
    "B06": ("b06", "b6", "rededge2", "rededge075", "red_edge_2"),
    "B07": ("b07", "b7", "rededge3", "rededge078", "red_edge_3"),
    "B08": ("b08", "b8", "nir", "nir_1"),
    "B8A": ("b8a", "b08a", "nir08", "nir_2", "rededge4"),
    "B09": ("b09", "b9", "nir09", "water_vapour"),
    "B11": ("b11", "swir16", "swir_2"),
    "B12": ("b12", "swir22", "swir_3"),
    "SCL": ("scl", "scene_classification"),
    "data": ("data", "elevation", "dem", "dsm"),
    "map": ("map", "esa_worldcover_10m_map", "classification", "land_cover"),
}
"""Our name -> what an asset's key, a band's name or its common name may be, in lower case.

`rededge` alone is left out: B05, B06 and B07 all have it as their common name.
"""
_MEANT = {spelling: name for name, spellings in _NAMES.items() for spelling in spellings}
_SUFFIX = re.compile(r"[-_](?:(?P<metres>\d+)m|jp2|cog|tiff?)$")
_SINGLE_RASTERS = ("data", "map")
"""Names of the one raster that an item of its layer has."""


def find_assets(item: Mapping[str, Any], source: LayerSource) -> dict[str, Mapping[str, Any]]:
    """Return the assets of an item by our names; those that it lacks are left out.

    An asset with the key that the source gives is taken. Where there is none and the source lets assets be
    recognised, it is recognised by the name of its one band (`bands`, `eo:bands`), its key, or the common
    name of its band. Of several a GeoTIFF is preferred to a JPEG 2000, then the finest.
    """
    assets = {
        key: asset
        for key, asset in (item.get("assets") or {}).items()
        if isinstance(asset, Mapping) and isinstance(asset.get("href"), str)
    }
    found = {name: assets[key] for name, key in source.assets.items() if key in assets}
    if not source.recognize or len(found) == len(source.assets):
        return found
    candidates: dict[str, list[str]] = {}
    for key, asset in assets.items():
        name = _recognize(key, asset)
        if name is not None:
            candidates.setdefault(name, []).append(key)
    for name in source.assets.keys() - found.keys():
        keys = candidates.get(name) or (_only_raster(assets) if name in _SINGLE_RASTERS else [])
        if keys:
            found[name] = assets[min(keys, key=lambda key: _preference(key, assets[key]))]
    return {name: found[name] for name in source.assets if name in found}


def public_address(href: str, source: LayerSource) -> str:
    """The href, or the HTTPS address of the same object where the source or PUBLIC_URLS know one."""
    known = {**PUBLIC_URLS, **source.public_urls} if source.recognize else source.public_urls
    for start, address in known.items():
        if href.startswith(start):
            return address + href.removeprefix(start)
    return href


def _recognize(key: str, asset: Mapping[str, Any]) -> str | None:
    """Our name for an asset; None where it is none of ours, or not to be told."""
    bands = [band for band in asset.get("bands") or asset.get("eo:bands") or [] if isinstance(band, Mapping)]
    if len(bands) > 1 or not _is_raster(asset):
        return None
    band = bands[0] if bands else {}
    spellings = (
        band.get("name"),
        _bare(key),
        band.get("eo:common_name") or band.get("common_name"),
    )
    return next((_MEANT[s.lower()] for s in spellings if isinstance(s, str) and s.lower() in _MEANT), None)


def _bare(key: str) -> str:
    """A key without the resolution or file format at its end: `B02_10m` and `blue-jp2` are B02 and blue."""
    return _SUFFIX.sub("", key.lower())


def _is_raster(asset: Mapping[str, Any]) -> bool:
    media_type = str(asset.get("type") or "")
    return not media_type or "tiff" in media_type or "jp2" in media_type


def _is_geotiff(asset: Mapping[str, Any]) -> bool:
    suffix = PurePosixPath(urlsplit(asset["href"]).path).suffix.lower()
    return "tiff" in str(asset.get("type") or "") or suffix in (".tif", ".tiff")


def _only_raster(assets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The key of the one GeoTIFF that an item has with the role `data`, or at all."""
    rasters = [key for key, asset in assets.items() if _is_geotiff(asset)]
    with_data = [key for key in rasters if "data" in (assets[key].get("roles") or [])]
    return next((keys for keys in (with_data, rasters) if len(keys) == 1), [])


def _preference(key: str, asset: Mapping[str, Any]) -> tuple[bool, float, str]:
    return not _is_geotiff(asset), _resolution(key, asset), key


def _resolution(key: str, asset: Mapping[str, Any]) -> float:
    """Metres of a pixel; infinite where nothing tells."""
    suffix = _SUFFIX.search(key.lower())
    transform = asset.get("proj:transform")
    value: Any
    for value in (
        transform[0] if isinstance(transform, list) and transform else None,
        asset.get("gsd"),
        asset.get("raster:spatial_resolution"),
        suffix["metres"] if suffix else None,
    ):
        try:
            return abs(float(value))
        except (TypeError, ValueError):
            continue
    return float("inf")
