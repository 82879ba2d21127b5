"""The arithmetic of pairs in plain loops, written from its description and from nothing of the pipeline."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def pulled(image: Array, field: Array) -> Array:
    """out(p) = in(p + f(p)): channel 0 moves along the last axis, channel 1 the first; zeros outside."""
    width, height = image.shape
    out = np.zeros((width, height))
    for i in range(width):
        for j in range(height):
            x, y = i + float(field[1, i, j]), j + float(field[0, i, j])
            left, low = math.floor(x), math.floor(y)
            for a, b in ((left, low), (left + 1, low), (left, low + 1), (left + 1, low + 1)):
                if 0 <= a < width and 0 <= b < height:
                    out[i, j] += float(image[a, b]) * (1 - abs(x - a)) * (1 - abs(y - b))
    return out


def resampled(image: Array, src_mip: int, dst_mip: int) -> Array:
    """Bilinear on half-pixel centres; beyond the edge the last pixel is repeated."""
    step = 2.0 ** (dst_mip - src_mip)
    width, height = int(image.shape[0] / step), int(image.shape[1] / step)
    out = np.zeros((width, height))
    for i in range(width):
        for j in range(height):
            x = min(max((i + 0.5) * step - 0.5, 0.0), image.shape[0] - 1.0)
            y = min(max((j + 0.5) * step - 0.5, 0.0), image.shape[1] - 1.0)
            left, low = int(x), int(y)
            right, high = min(left + 1, image.shape[0] - 1), min(low + 1, image.shape[1] - 1)
            u, v = x - left, y - low
            out[i, j] = (
                float(image[left, low]) * (1 - u) * (1 - v)
                + float(image[right, low]) * u * (1 - v)
                + float(image[left, high]) * (1 - u) * v
                + float(image[right, high]) * u * v
            )
    return out


def averaged(image: Array, factor: int) -> Array:
    """The mean of each block of factor x factor pixels."""
    width, height = image.shape[0] // factor, image.shape[1] // factor
    out = np.zeros((width, height))
    for i in range(width):
        for j in range(height):
            block = [
                float(image[i * factor + a, j * factor + b]) for a in range(factor) for b in range(factor)
            ]
            out[i, j] = math.fsum(block) / len(block)
    return out


def mean_and_variance(pixels: list[float]) -> tuple[float, float]:
    """Mean and sample variance (n - 1); a variance of 0, or of one pixel, counts as 1."""
    mean = math.fsum(pixels) / len(pixels)
    if len(pixels) == 1:
        return mean, 1.0
    variance = math.fsum((pixel - mean) ** 2 for pixel in pixels) / (len(pixels) - 1)
    return mean, variance or 1.0


class ReferenceVolume:
    """A volume in memory: (x, y, z, channels) by mip, zeros outside."""

    def __init__(self, mips: dict[int, NDArray[Any]]) -> None:
        self.mips = {mip: a if a.ndim == 4 else a[..., None] for mip, a in mips.items()}

    def cut(self, mip: int, x: int, y: int, z: int, width: int, height: int, channel: int = 0) -> Array:
        """Cut a box whose start and size are in MIP 0 pixels."""
        values, scale = self.mips[mip], 2**mip
        out = np.zeros((width // scale, height // scale))
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                a, b = x // scale + i, y // scale + j
                if 0 <= a < values.shape[0] and 0 <= b < values.shape[1] and 0 <= z < values.shape[2]:
                    out[i, j] = float(values[a, b, z, channel])
        return out


def section(
    spec: dict[str, Any], volumes: dict[str, ReferenceVolume], at: tuple[int, int, int], normalise: bool
) -> tuple[Array, Array, Array, tuple[int, int]]:
    """Return image as src, image as tgt, stored field, and what the box was moved by."""
    mip = spec["dst_mip"]
    width, height = spec["x_size"] * 2**mip, spec["y_size"] * 2**mip
    x, y, z = at
    moved, field = (0, 0), np.zeros((2, spec["x_size"], spec["y_size"]))
    if "field" in spec:
        moved, field = _field(spec, volumes, at)
    x, y = x + moved[0], y + moved[1]
    image, masked = _masked(spec, volumes, spec["image"], mip, (x, y, z), (width, height))
    black = image == 0
    if normalise:
        counted, hidden = image, masked
        if "reference" in spec["image"]:
            ref = spec["image"]["reference"]
            size = (ref["x_size"] * 2 ** ref["dst_mip"], ref["y_size"] * 2 ** ref["dst_mip"])
            start = (x + width // 2 - size[0] // 2, y + height // 2 - size[1] // 2, z)
            counted, hidden = _masked(spec, volumes, ref, ref["dst_mip"], start, size)
        pixels = [
            float(counted[i, j])
            for i in range(counted.shape[0])
            for j in range(counted.shape[1])
            if not hidden[i, j] and counted[i, j] != 0 and math.isfinite(counted[i, j])
        ]
        mean, variance = mean_and_variance(pixels)
        image = (image - mean) / math.sqrt(variance)
    image[masked.astype(bool) | black] = 0
    return image, pulled(image, field) if "field" in spec else image, field, moved


def _masked(
    spec: dict[str, Any],
    volumes: dict[str, ReferenceVolume],
    source: dict[str, Any],
    mip: int,
    at: tuple[int, int, int],
    size: tuple[int, int],
) -> tuple[Array, Array]:
    image = resampled(volumes[source["path"]].cut(source["src_mip"], *at, *size), source["src_mip"], mip)
    masked = np.zeros(image.shape)
    for mask in spec["masks"]:
        values = resampled(volumes[mask["path"]].cut(mask["src_mip"], *at, *size), mask["src_mip"], mip)
        masked[values >= mask["threshold"]] = 1
    return image, masked


def _field(
    spec: dict[str, Any], volumes: dict[str, ReferenceVolume], at: tuple[int, int, int]
) -> tuple[tuple[int, int], Array]:
    mip, source = spec["dst_mip"], spec["field"]
    width, height = spec["x_size"] * 2**mip, spec["y_size"] * 2**mip
    ref = source.get("reference") or {
        "path": source["path"],
        "src_mip": source["src_mip"],
        "dst_mip": mip,
        "x_size": spec["x_size"],
        "y_size": spec["y_size"],
    }
    size = (ref["x_size"] * 2 ** ref["dst_mip"], ref["y_size"] * 2 ** ref["dst_mip"])
    start = (at[0] + width // 2 - size[0] // 2, at[1] + height // 2 - size[1] // 2, at[2])
    both = [volumes[ref["path"]].cut(ref["src_mip"], *start, *size, channel=c) for c in (0, 1)]
    finite = [
        (float(a), float(b))
        for a, b in zip(both[0].ravel(), both[1].ravel(), strict=True)
        if math.isfinite(a) and math.isfinite(b)
    ]
    step = 2 ** ref["src_mip"]
    trans = [math.floor(math.fsum(v[c] for v in finite) / len(finite) / step) * step for c in (0, 1)]
    channels = []
    raw = [volumes[source["path"]].cut(source["src_mip"], *at, width, height, channel=c) for c in (0, 1)]
    there = np.isfinite(raw[0]) & np.isfinite(raw[1])
    for c in (0, 1):
        left = np.where(there, raw[c] - trans[c], 0.0)
        channels.append(resampled(left, source["src_mip"], mip) / 2**mip)
    return (trans[1], trans[0]), np.stack(channels)
