"""What fields are generated from: image pairs, previous fields and an aligner."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import polars as pl

from factory_pipeline.errors import PairFileError
from factory_pipeline.plain_text import count_noun
from factory_pipeline.storage.checksum import sha256_of
from factory_pipeline.volumes.aligners.aligner import AlignerSource
from factory_pipeline.volumes.pair_files import images_of, pairs_table

Centres = tuple[tuple[int, ...], ...]
CENTRES = "centres"
"""Dataset of a file of fields beside them, shape (n, 6): see `read_centres`."""


@dataclass(frozen=True)
class FieldTask:
    """Fields of all pairs of one file.

    Attributes:
        images: file of image pairs of `src_mip`, its dataset of shape (n, 2, x, y): axis 1 is (src, tgt).
        previous: file of the fields that are known so far, shape (n, 2, x, y), in pixels of `src_mip`.
        aligner: what aligns the pairs.
        src_mip: of the images.
        dst_mip: of the fields that are written, at most `src_mip`.
        pairs: number of the pairs, n.
        shape: of a field that is written, (x, y).
        digest: of all that decides the fields, in hex.
        centres: of each pair, see `read_centres`; None where they are not known.
        previous_rows: row of the previous field of each pair; None where it is that of the pair.
    """

    images: Path
    previous: Path | None
    aligner: AlignerSource
    src_mip: int
    dst_mip: int
    pairs: int
    shape: tuple[int, int]
    digest: str
    centres: Centres | None = None
    previous_rows: tuple[int, ...] | None = None


def plan_fields(
    images: Path,
    previous: Path | None,
    aligner: AlignerSource,
    src_mip: int,
    dst_mip: int,
    shape: tuple[int | None, int | None] = (None, None),
) -> FieldTask:
    """Check that files fit each other, and return the task.

    Args:
        images: see `FieldTask`.
        previous: see `FieldTask`.
        aligner: see `FieldTask`.
        src_mip: see `FieldTask`.
        dst_mip: see `FieldTask`.
        shape: of a field that is written, (x, y); None is that of the images, the usual one of two datasets
            of which the finer shows the middle of the coarser.

    Raises:
        PairFileError: a file can't be read, the files don't fit each other, or the fields would be finer or
            larger than what they are made of.
        AlignerError: the aligner can't be read.
    """
    if dst_mip > src_mip:
        raise PairFileError(
            f"Fields are made from coarse to fine: --dst_mip {dst_mip} must be at most --src_mip {src_mip}."
        )
    with open_pairs(images) as dataset:
        pairs, _, *edges = dataset.shape
    centres = read_centres(images, src_mip)
    previous_rows = None
    if previous is not None:
        with open_pairs(previous) as dataset:
            previous_rows = _match_rows(images, centres, previous, dataset)
            needed = (pairs if previous_rows is None else len(dataset), 2, *edges)
            if dataset.shape != needed:
                raise PairFileError(
                    f"The fields in {previous} have the shape {dataset.shape}; that of the images in {images}"
                    f" is needed, {needed}."
                )
    scale = 1 << (src_mip - dst_mip)
    asked = tuple(edge if given is None else given for edge, given in zip(edges, shape, strict=True))
    for name, edge, length in zip("xy", edges, asked, strict=True):
        if length > edge * scale or (edge * scale - length) % 2:
            raise PairFileError(
                f"Fields of MIP {dst_mip} can't be {length} pixels long in {name}: the middle is cut out of"
                f" {edge * scale} pixels, so {length} must be at most that and"
                f" {'even' if edge * scale % 2 == 0 else 'odd'}."
            )
    made_of = {
        "images": sha256_of(images),
        "previous": previous and sha256_of(previous),
        "aligner": aligner.identity(),
        "mips": (src_mip, dst_mip),
        "shape": asked,
    }
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return FieldTask(
        images,
        previous,
        aligner,
        src_mip,
        dst_mip,
        pairs,
        (asked[0], asked[1]),
        digest,
        centres,
        previous_rows,
    )


def read_centres(images: Path, mip: int) -> Centres | None:
    """Return the centres of the pairs of a file, as the table beside it says; None if there is no table.

    Args:
        images: file of image pairs.
        mip: of the images.

    Returns:
        Of each row: x, y, z of src, then of tgt; x and y twice as large as in MIP 0 pixels, which whole
        numbers can say of any box. Sets of different mips share them.
    """
    table = pairs_table(images)
    if not table.is_file():
        return None
    rows = pl.read_parquet(table).drop_nulls("row").sort("row")
    with open_pairs(images) as dataset:
        size = dict(zip("xy", dataset.shape[2:], strict=True))
        if rows["row"].to_list() != list(range(len(dataset))):
            raise PairFileError(f"{table} is not the table of {images}: it has other pairs.")
    centres = rows.select(
        column
        for side in ("src", "tgt")
        for column in (
            *(pl.col(f"{side}_{axis}") * 2 + (length << mip) for axis, length in size.items()),
            f"{side}_z",
        )
    )
    return tuple(centres.iter_rows())


def _match_rows(
    images: Path, centres: Centres | None, previous: Path, fields: h5py.Dataset
) -> tuple[int, ...] | None:
    """Find the previous field of each pair by the centres: the order of sets of different mips may differ."""
    if centres is None or CENTRES not in fields.file:
        return None
    rows = {tuple(centre): row for row, centre in enumerate(fields.file[CENTRES][:].tolist())}
    missing = [pair for pair, centre in enumerate(centres) if centre not in rows]
    if missing:
        x, y, z, *_ = centres[missing[0]]
        raise PairFileError(
            f"{previous} has no field of {count_noun(len(missing), 'pair')} of {images}, such as pair"
            f" {missing[0]}, whose"
            f" src has its centre at {x / 2:g}, {y / 2:g}, {z}: both must be of the same places."
        )
    return tuple(rows[centre] for centre in centres)


@contextmanager
def open_pairs(path: Path) -> Iterator[h5py.Dataset]:
    """Open the dataset of a file of image pairs or fields for reading, (n, 2, x, y).

    Raises:
        PairFileError: the file can't be read, or has no such dataset.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if not path.is_file():
            raise PairFileError(f"There is no file {path}.") from error
        raise PairFileError(f"{path} is not an HDF5 file, or is damaged.") from error
    with file:
        yield images_of(file)
