"""Images that show the same though their files differ: encoded again, shifted by pixels, or resampled.

Each image is known by a small grey thumbnail. Thumbnails whose perceptual hashes are near are compared by
their correlation, at the shift that fits them best: the hash finds candidates, the correlation decides.

The hash is that of the signs of low frequencies (pHash: Zauner 2010, "Implementation and benchmarking of
perceptual image hash functions"), the shift is found by the cross-correlation of the thumbnails.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
import scipy
from numpy.typing import NDArray

from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.leakage import COPIES_SCHEMA

SIDE = 32
"""Pixels of a thumbnail's side."""
CORRELATION = 0.94
"""Of two images that show the same, at least: a shift by half a pixel of a thumbnail leaves 0.96. Unrelated
images stay below 0.85."""
CORRELATION_APART = 0.98
"""The same for two images whose georeference says that they show different ground: some windows with a single
edge or slope are as alike as 0.97."""
MOST_COMPARED = 200_000
"""Images that are searched for near-identical ones at most, which bounds memory and time."""
_FREQUENCIES = 8
_TABLES, _FEWEST_BITS, _MOST_BITS = 24, 10, 20
"""Hashes are looked up by so many choices of so many of their 64 bits, the more the more images exist: two
images are candidates where one of the choices is the same in both."""
_SHIFT = SIDE // 8
"""Largest shift that is tried, in pixels of a thumbnail."""
_MOST_IN_BUCKET = 64
"""Images of one choice of bits that are compared with one another; beyond it each only with the next ones."""
_MOST_APART = 22
"""Bits by which the hashes of two candidates differ at most: those of unrelated images differ in 32."""
_FLAT = 1e-3
"""Standard deviation, as a part of the range of values, below which an image shows nothing to compare."""
_COMPARED = 20_000
_MOST_EXACT = 4096
"""Columns times bands up to which sums of means of 16-bit integers are exact: the last of a mean's 24 bits is
worth 2**-23 of 1 / bands at least, and their sum is less than 2**16 times the columns."""


def thumbnail(pixels: NDArray[np.generic], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Return the thumbnail of an image: the mean of its bands, averaged over areas, from 0 to 255.

    Args:
        pixels: (bands, rows, columns).
        valid: (bands, rows, columns) False where a pixel is no data; such pixels count as the mean.

    Returns:
        (SIDE, SIDE) stretched from its lowest to its highest value; all zero for one without contrast.
    """
    return thumbnail_of_rows(grey_rows(pixels, valid))


def grey_rows(pixels: NDArray[np.generic], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Return (rows, SIDE) the mean of the bands of an image, or of a strip of it, averaged along its rows.

    Args:
        pixels: as for `thumbnail`.
        valid: as for `thumbnail`.
    """
    if pixels.dtype.kind in "u" and pixels.dtype.itemsize <= 2 and (valid is None or valid.all()):
        # These sums are exact in float32 too, as those of up to 256 bands of 16 bits are.
        total = np.add.reduce(pixels, axis=0, dtype=np.uint32)
        grey = total.astype(np.float32) / np.float32(len(pixels))
        columns = grey.shape[1]
        if columns % SIDE == 0 and columns * len(pixels) <= _MOST_EXACT:
            return _average_exactly(grey).astype(np.float32)
        return _average(grey, 1).astype(np.float32)
    values = np.asarray(pixels, np.float32)
    good = np.isfinite(values) if valid is None else valid & np.isfinite(values)
    if not good.all():
        mean = values[good].mean(dtype=np.float64) if good.any() else 0.0
        values = np.where(good, values, np.float32(mean))
    return _average(values.mean(axis=0), 1).astype(np.float32)


def thumbnail_of_rows(rows: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the thumbnail of an image.

    Args:
        rows: (rows, SIDE) what `grey_rows` returned, of all its strips.
    """
    small = _average(rows, 0)
    low, high = small.min(), small.max()
    if not high > low:
        return np.zeros((SIDE, SIDE), np.uint8)
    return np.round(255 * (small - low) / (high - low)).astype(np.uint8)


def find_copies(stems: pl.Series, thumbnails: NDArray[np.uint8]) -> pl.DataFrame:
    """Return the pairs of images that show the same.

    Args:
        stems: of the images.
        thumbnails: (images, SIDE, SIDE).

    Returns:
        Frame in COPIES_SCHEMA, the image that comes first as `stem`.
    """
    found = [np.empty((0, 3))]
    if not len(thumbnails):
        return pl.DataFrame(schema=COPIES_SCHEMA)
    flat = thumbnails.reshape(len(thumbnails), -1).std(axis=1, dtype=np.float32) <= 255 * _FLAT
    known = np.flatnonzero(~flat)
    for pairs in _candidates(_hashes(thumbnails[known])):
        one, other = known[pairs.T]
        correlation = _correlations(thumbnails[one], thumbnails[other])
        same = correlation >= CORRELATION
        found.append(np.stack([one[same], other[same], correlation[same]], axis=1))
    rows = np.concatenate(found)
    first, second = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
    return (
        pl.DataFrame({"stem": stems[first], "other_stem": stems[second], "correlation": rows[:, 2]})
        .cast(pl.Schema(COPIES_SCHEMA))
        .unique(["stem", "other_stem"], keep="first", maintain_order=True)
        .sort("stem", "other_stem")
    )


def find_stored_copies(images: pl.DataFrame, ground: Ground) -> pl.DataFrame | None:
    """Return the pairs of images that show the same, from thumbnails as tables have them.

    Args:
        images: `stem`, and `thumbnail`, its bytes row by row, null for an image without one.
        ground: where they are.

    Returns:
        As `find_copies`; None where no image has a thumbnail, or more have one than can be compared.
    """
    known = images.select("stem", "thumbnail").drop_nulls()
    if not 0 < known.height <= MOST_COMPARED:
        return None
    pixels = np.frombuffer(b"".join(known["thumbnail"]), np.uint8)
    copies = find_copies(known["stem"], pixels.reshape(-1, SIDE, SIDE))
    number = images.select("stem", number=pl.Series(ground.number))
    numbers = copies.join(number, on="stem", maintain_order="left").join(
        number, left_on="other_stem", right_on="stem", suffix="_other", maintain_order="left"
    )
    pairs = numbers.select("number", "number_other").to_numpy()
    apart = (pairs >= 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])
    apart[apart] = ~ground.are_near(pairs[apart])
    return copies.filter(pl.Series(~apart) | (pl.col("correlation") >= CORRELATION_APART))


def _average_exactly(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """As `_average` along rows of a multiple of SIDE columns whose sums are exact, in whatever order."""
    step = grey.shape[1] // SIDE
    parts = grey.astype(np.float64).reshape(-1, SIDE, step)
    total = parts[..., 0].copy()
    for number in range(1, step):
        total += parts[..., number]
    return total / step


def _average(grey: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Average over SIDE equal parts of an axis, 0 or 1, pixels on an edge in parts."""
    count = grey.shape[axis]
    total = np.zeros([length + (of == axis) for of, length in enumerate(grey.shape)])
    np.cumsum(grey, axis=axis, dtype=np.float64, out=total[1:] if axis == 0 else total[:, 1:])
    edges = np.linspace(0, count, SIDE + 1)
    whole = np.minimum(np.floor(edges).astype(int), count - 1)
    parts = edges - whole
    before = grey.take(whole, axis).astype(np.float64)
    at = total.take(whole, axis) + (parts[:, None] if axis == 0 else parts) * before
    return np.diff(at, axis=axis) / (count / SIDE)


def _hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (images, 64) whether each of the low frequencies is above the median of them."""
    hashes = np.empty((len(thumbnails), _FREQUENCIES**2), np.bool_)
    for start in range(0, len(thumbnails), _COMPARED):
        part = thumbnails[start : start + _COMPARED].astype(np.float32)
        waves = scipy.fft.dctn(part, axes=(1, 2))[:, : _FREQUENCIES + 1, : _FREQUENCIES + 1]
        # The first row and column alone carry the gradients across the image, so one of each is kept.
        low = waves[:, :_FREQUENCIES, :_FREQUENCIES].reshape(len(part), -1)
        low[:, 0] = waves[:, _FREQUENCIES, 0]
        hashes[start : start + _COMPARED] = low > np.median(low, axis=1, keepdims=True)
    return hashes


def _candidates(hashes: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """Yield pairs of images of which a choice of bits is the same, each pair once per choice at most."""
    rng = np.random.default_rng(0)
    # Low frequencies change least where an image is shifted, so they are chosen more often.
    row, column = np.divmod(np.arange(_FREQUENCIES**2), _FREQUENCIES)
    weight = 1.0 / (1 + row + column) ** 1.5
    count = int(np.clip(np.log2(max(len(hashes), 1)) + 4, _FEWEST_BITS, _MOST_BITS))
    packed = np.packbits(hashes, axis=1).view(np.uint64).reshape(-1)
    for _ in range(_TABLES):
        bits = rng.choice(hashes.shape[1], count, replace=False, p=weight / weight.sum())
        key = hashes[:, bits] @ (1 << np.arange(count))
        order = np.lexsort((packed, key))
        ordered = key[order]
        for step in range(1, _MOST_IN_BUCKET):
            equal = np.flatnonzero(ordered[step:] == ordered[:-step])
            if not equal.size:
                break
            pairs = np.sort(np.stack([order[equal], order[equal + step]], axis=1), axis=1)
            apart = np.bitwise_count(packed[pairs[:, 0]] ^ packed[pairs[:, 1]])
            pairs = pairs[apart <= _MOST_APART]
            for start in range(0, len(pairs), _COMPARED):
                yield pairs[start : start + _COMPARED]


def _correlations(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (pairs,) the correlation of thumbnails where both show the same ground, at the best shift."""
    first, second = (part.astype(np.float32) for part in (one, other))
    best = np.full(len(first), -1.0)
    size = scipy.fft.next_fast_len(SIDE + _SHIFT)
    waves = [
        scipy.fft.rfft2(part - part.mean(axis=(1, 2), keepdims=True), (size, size))
        for part in (first, second)
    ]
    cross = scipy.fft.irfft2(waves[0] * np.conj(waves[1]), (size, size))
    steps = np.arange(-_SHIFT, _SHIFT + 1)
    near = cross[:, steps][:, :, steps]
    place = near.reshape(len(first), -1).argmax(axis=1)
    downs, rights = steps[place // len(steps)], steps[place % len(steps)]
    for down in np.unique(downs).tolist():
        for right in np.unique(rights[downs == down]).tolist():
            there = np.flatnonzero((downs == down) & (rights == right))
            a = first[there, max(down, 0) : SIDE + min(down, 0), max(right, 0) : SIDE + min(right, 0)]
            b = second[there, max(-down, 0) : SIDE + min(-down, 0), max(-right, 0) : SIDE + min(-right, 0)]
            best[there] = _correlation(a, b)
    return best


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    a = (one - one.mean(axis=(1, 2), keepdims=True)).reshape(len(one), -1).astype(np.float64)
    b = (other - other.mean(axis=(1, 2), keepdims=True)).reshape(len(other), -1).astype(np.float64)
    size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), size, out=np.zeros(len(a)), where=size > 0)
