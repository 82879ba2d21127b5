"""The offset of the counts of a Sentinel-2 item, and its source."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

BASELINE_OFFSET = 1000
"""Counts that products of baseline 04.00 and later carry on top.

https://sentiwiki.copernicus.eu/web/s2-processing (BOA_ADD_OFFSET = -1000)
"""
OFFSET_FIELDS = ("raster:bands", "bands", "raster:offset", "raster:scale")
"""Of an asset; `raster:bands` in the raster extension 1, the others in its version 2."""
REMOVED_FIELDS = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
"""Property of an item: whether its publisher removed the offset."""
_DESCRIBES_THE_ORIGINAL = "sentinel-cogs"
"""A bucket whose items repeat the offset of ESA's product in `raster:bands` though the pixels are without it:
there REMOVED_FIELDS alone tell."""
_LAST_BASELINE = 90
"""Baselines from here on (99.99) are those of private processors: they follow no rule."""


class UnknownOffsetError(ValueError):
    """Nothing tells which offset the pixels carry; the text says what lacks, in a form to count by."""


def read_offset(item: Mapping[str, Any], bands: Sequence[str], baseline: str | None) -> int:
    """Return the counts that the pixels of all bands of a trimmed item carry on top of reflectance.

    What is stated of the pixels themselves comes first: that the offset was removed, then `offset` and
    `scale` of the raster extension. Only where nothing is stated, ESA's rule for the baseline holds.

    Args:
        item: trimmed, with an asset for each band.
        bands: all have the same offset.
        baseline: such as `05.11`; None if the item has none.

    Raises:
        UnknownOffsetError: nothing tells, or the bands differ.
    """
    properties = item["properties"]
    removed = next((properties[f] for f in REMOVED_FIELDS if properties.get(f) is not None), None)
    if removed:
        return 0
    if removed is None:
        stated = {_stated_offset(item["assets"][band], properties) for band in bands}
        if len(stated) > 1:
            raise UnknownOffsetError("bands that state different offsets")
        (offset,) = stated or {None}
        if offset is not None:
            return offset
    return _offset_of_baseline(baseline)


def _offset_of_baseline(baseline: str | None) -> int:
    # https://sentinels.copernicus.eu/web/sentinel/-/copernicus-sentinel-2-major-products-upgrade-upcoming
    if baseline is None:
        raise UnknownOffsetError("no processing baseline")
    major = int(baseline.partition(".")[0])
    if major >= _LAST_BASELINE:
        raise UnknownOffsetError(f"no offset stated, and processing baseline {baseline} does not imply one")
    return BASELINE_OFFSET if major >= 4 else 0


def _stated_offset(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> int | None:
    """Return the offset that an asset declares, in counts; None if it declares none."""
    if _DESCRIBES_THE_ORIGINAL in _bucket(asset["href"]):
        return None
    for offset, scale in _statements(asset, properties):
        try:
            counts = -float(offset) / float(1 if scale is None else scale)
        except (TypeError, ValueError, ZeroDivisionError):
            raise UnknownOffsetError("an offset that can't be read") from None
        if abs(counts - round(counts)) > 1e-6 or not 0 <= round(counts) < 2**16:
            raise UnknownOffsetError("an offset that is no whole number of counts")
        return round(counts)
    return None


def _statements(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield offset and scale wherever they are declared, the nearest to the pixels first."""
    for band in asset.get("raster:bands") or []:
        if band.get("offset") is not None:
            yield band["offset"], band.get("scale")
    for holder in (*(asset.get("bands") or []), asset, properties):
        if holder.get("raster:offset") is not None:
            yield holder["raster:offset"], holder.get("raster:scale")


def _bucket(href: str) -> str:
    parts = urlsplit(href)
    return f"{parts.netloc}/{parts.path.lstrip('/').partition('/')[0]}" if parts.scheme else ""


def read_baseline(properties: Mapping[str, Any], name: str) -> str | None:
    """Return the processing baseline of an item, such as `05.11`; None if it has none.

    Args:
        properties: of the item.
        name: the product's name, which holds it as `_N0511_`.
    """
    keys = ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
    given = next((properties[key] for key in keys if properties.get(key) is not None), None)
    if given is None:
        in_name = re.search(r"_N(\d\d)(\d\d)_", name)
        given = ".".join(in_name.groups()) if in_name else None
    return str(given) if given is not None and re.fullmatch(r"\d{1,2}\.\d{1,2}", str(given)) else None
