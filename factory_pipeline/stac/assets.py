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

_SUFFIX = re.compile(r"[-_](?:(?P<metres>\d+)m|jp2|cog|tiff?)$")


def find_assets(item: Mapping[str, Any], source: LayerSource) -> dict[str, Mapping[str, Any]]:
    """Return the assets of an item by our names; those that it lacks are left out.

    An asset with the key that the source gives is taken. Where there is none and the source lets assets be
    recognised, it is recognised by the name of its one band (`bands`, `eo:bands`), its key, or the common
    name of its band. Of several a GeoTIFF is preferred to a JPEG 2000, then the finest.

    Args:
        item: of the catalog.
        source: with the keys of assets, and whether they may be recognised.
    """
    assets = {
        key: asset
        for key, asset in (item.get("assets") or {}).items()
        if isinstance(asset, Mapping) and isinstance(asset.get("href"), str)
    }
    found = {name: assets[key] for name, key in source.assets.items() if key in assets}
    if not source.recognize or len(found) == len(source.assets):
        return found
    meant = {spelling: name for name, known in source.spellings.items() for spelling in known.names}
    candidates: dict[str, list[str]] = {}
    for key, asset in assets.items():
        name = _recognize(key, asset, meant)
        if name is not None:
            candidates.setdefault(name, []).append(key)
    for name in source.assets.keys() - found.keys():
        is_single = name in source.spellings and source.spellings[name].single
        keys = candidates.get(name) or (_only_raster(assets) if is_single else [])
        if keys:
            found[name] = assets[min(keys, key=lambda key: _preference(key, assets[key]))]
    return {name: found[name] for name in source.assets if name in found}


def public_address(href: str, source: LayerSource) -> str:
    """Return the href, or the HTTPS address of the same object where the source or PUBLIC_URLS know one.

    Args:
        href: `s3://` or another scheme.
        source: with the prefixes that it knows.
    """
    known = {**PUBLIC_URLS, **source.public_urls} if source.recognize else source.public_urls
    for start, address in known.items():
        if href.startswith(start):
            return address + href.removeprefix(start)
    return href


def _recognize(key: str, asset: Mapping[str, Any], meant: Mapping[str, str]) -> str | None:
    """Return our name of an asset; None if it has none, or is ambiguous.

    Args:
        key: of the asset in its item.
        asset: its JSON.
        meant: spelling in lower case -> our name.
    """
    bands = [band for band in asset.get("bands") or asset.get("eo:bands") or [] if isinstance(band, Mapping)]
    if len(bands) > 1 or not _is_raster(asset):
        return None
    band = bands[0] if bands else {}
    spellings = (
        band.get("name"),
        _bare(key),
        band.get("eo:common_name") or band.get("common_name"),
    )
    return next((meant[s.lower()] for s in spellings if isinstance(s, str) and s.lower() in meant), None)


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
    """Return the key of the one GeoTIFF that an item has with the role `data`, or at all."""
    rasters = [key for key, asset in assets.items() if _is_geotiff(asset)]
    with_data = [key for key in rasters if "data" in (assets[key].get("roles") or [])]
    return next((keys for keys in (with_data, rasters) if len(keys) == 1), [])


def _preference(key: str, asset: Mapping[str, Any]) -> tuple[bool, float, str]:
    return not _is_geotiff(asset), _resolution(key, asset), key


def _resolution(key: str, asset: Mapping[str, Any]) -> float:
    """Return metres per pixel; infinite if they are not known."""
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
        except (TypeError, ValueError, OverflowError):
            continue
    return float("inf")
