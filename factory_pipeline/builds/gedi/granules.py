"""GEDI granules: where they are, and the footprints that those of L4A hold.

Format: GEDI L4A Footprint Level Aboveground Biomass Density, Version 2 (doi:10.3334/ORNLDAAC/2056).
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import obstore.exceptions
import polars as pl

from factory_pipeline.builds.gedi import object_store
from factory_pipeline.builds.gedi.granule_names import L4A, granule_stem, parse_granule_name, pattern_of
from factory_pipeline.builds.gedi.hdf5_columns import read_column
from factory_pipeline.errors import GranuleError, GranuleUnavailableError

GEDI_EPOCH = datetime(2018, 1, 1, tzinfo=UTC)
"""What `delta_time` counts seconds from."""

FOOTPRINT_SCHEMA: dict[str, type[pl.DataType]] = {
    "shot_number": pl.Int64,
    "granule": pl.String,
    "beam": pl.String,
    "delta_time": pl.Float64,
    "lat_lowestmode": pl.Float64,
    "lon_lowestmode": pl.Float64,
    "agbd": pl.Float32,
    "agbd_se": pl.Float32,
    "l2_quality_flag": pl.UInt8,
    "l4_quality_flag": pl.UInt8,
    "surface_flag": pl.UInt8,
}
"""Columns of a table of footprints: `granule` is the file name without `.h5`, `delta_time` is in seconds
since GEDI_EPOCH, coordinates are in degrees (WGS 84), agbd and agbd_se in Mg/ha. Fields that a recipe
asks for beside these follow, in the granule's own dtypes."""

REQUIRED_FIELDS = ("shot_number", "delta_time", "lat_lowestmode", "lon_lowestmode", "agbd", "agbd_se")
"""What every granule must hold; other fields are null where a granule lacks them."""

_BEAM = re.compile(r"BEAM[01]{4}")
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class GranuleFile:
    """A granule that was found but not opened yet."""

    source: str
    """The folder or object-store prefix that it is in."""
    name: str
    """File name."""
    size: int
    """Bytes."""
    version: str
    """Changes when the file does: its time of modification, or its ETag in an object store."""


def exact_time(delta_time: float) -> datetime:
    """Return the time (UTC, to the microsecond) of a shot's `delta_time`, in seconds since GEDI_EPOCH.

    Raises:
        ValueError, OverflowError: `delta_time` is not finite or is outside the years 1 to 9999.
    """
    return GEDI_EPOCH + timedelta(seconds=delta_time)


def years_of(delta_times: pl.Series) -> list[int]:
    """Return the year (UTC) of each `delta_time`; raises as `exact_time` does."""
    return [exact_time(seconds).year for seconds in delta_times]


def calendar_day(delta_time: pl.Expr) -> pl.Expr:
    """Return the calendar day (Date, UTC) of each `delta_time`; null where that is not finite."""
    seconds = delta_time.floor().cast(pl.Int64, strict=False)
    days_to_epoch = (GEDI_EPOCH - datetime(1970, 1, 1, tzinfo=UTC)).days
    return (seconds // _SECONDS_PER_DAY + days_to_epoch).cast(pl.Int32, strict=False).cast(pl.Date)


@dataclass(frozen=True)
class Listing:
    """The contents of a source of granules."""

    granules: tuple[GranuleFile, ...]
    """Ordered by name."""
    ignored: Mapping[str, str]
    """What is not read: a path in the source, and why."""


def list_source(source: str, inbox: Path | None = None, pattern: str = pattern_of(L4A)) -> Listing:
    """List every `.h5` or `.hdf5` file that is directly in a folder or under an object-store prefix.

    A file whose name does not match the pattern is listed too, so that it can be set aside with its reason.
    Granules in sub-folders are not read; they are named in `ignored`.

    Args:
        source: a path, or a URL that obstore knows (`s3://`, `gs://`, `az://`, `https://` of a WebDAV server,
            `file://`); credentials come from the environment.
        inbox: a further folder, which may be missing or empty; of granules of one name that of the source
            counts.
        pattern: how the product's files are named, for the message.

    Raises:
        GranuleError: there is no such folder, or neither it nor the inbox holds such a file.
        GranuleUnavailableError: the folder or the object store does not answer or refuses.
    """
    if object_store.is_url(source):
        found, ignored = _list_store(source)
    else:
        try:
            found, ignored = _list_folder(source)
        except OSError as error:
            raise GranuleUnavailableError(
                f"The granule folder {source} can't be listed: {error.strerror or error}."
            ) from error
    if inbox is not None and inbox.is_dir() and str(inbox) != source:
        dropped, ignored_there = _list_folder(str(inbox))
        names = {granule.name for granule in found}
        found = [*found, *(granule for granule in dropped if granule.name not in names)]
        ignored = {**ignored_there, **ignored}
    if not found:
        below = f" Its sub-folders do ({next(iter(ignored))}): name one of them." if ignored else ""
        raise GranuleError(
            f"{object_store.display(source)} holds no granule (a file named {pattern}).{below}"
        )
    return Listing(tuple(sorted(found, key=lambda granule: granule.name)), ignored)


def list_granules(source: str, inbox: Path | None = None) -> list[GranuleFile]:
    """Return the granules of `list_source`.

    Args:
        source: as for `list_source`.
        inbox: as for `list_source`.

    Raises:
        GranuleError, GranuleUnavailableError: as `list_source`.
    """
    return list(list_source(source, inbox).granules)


def _list_folder(source: str) -> tuple[list[GranuleFile], dict[str, str]]:
    folder = Path(source)
    if not folder.is_dir():
        raise GranuleError(f"The granule folder {folder} does not exist or is not a folder.")
    found = []
    ignored = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            below = sum(is_granule_file(name) for _, _, names in os.walk(path) for name in names)
            if below:
                ignored[f"{path.name}/"] = f"{IN_SUBFOLDER}; it holds {below} such files"
        elif is_granule_file(path.name) and path.is_file():
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue  # it has gone since the folder was listed
            found.append(GranuleFile(source, path.name, facts.st_size, str(facts.st_mtime_ns)))
    return found, ignored


def _list_store(source: str) -> tuple[list[GranuleFile], dict[str, str]]:
    found = []
    objects, prefixes = object_store.list_objects(source)
    for entry in objects:
        if is_granule_file(entry["path"]):
            version = entry["e_tag"] or entry["last_modified"].isoformat()
            found.append(GranuleFile(source, entry["path"], entry["size"], version))
    return found, {f"{prefix.rstrip('/')}/": IN_SUBFOLDER for prefix in sorted(prefixes)}


IN_SUBFOLDER = "sub-folders are not read; name it as the input to read it"


def is_granule_file(name: str) -> bool:
    """Return whether a file may be a granule by its ending."""
    return granule_stem(name) != name and not name.startswith(".")


def read_granule(granule: GranuleFile, extra_fields: Sequence[str] = ()) -> pl.DataFrame:
    """Return all footprints of a granule, beam after beam, in FOOTPRINT_SCHEMA and then the extra fields.

    Only the fields that are requested are read. An extra field is named by its path in the beam group, such
    as `sensitivity` or `land_cover_data/landsat_treecover`, and so is its column. Fields that have other
    names in the granule's version are read by these. A field that is not in REQUIRED_FIELDS is null
    where a beam lacks it; no other value is ever null.

    Args:
        granule: the file, in a folder or an object store.
        extra_fields: paths in a beam's group, beside those of FOOTPRINT_SCHEMA.

    Raises:
        GranuleError: the name is not a granule's, the file is no HDF5 or truncated, there is no beam, or a
            beam lacks a required field, has fields of unequal lengths or values that don't fit.
        GranuleUnavailableError: the file can't be reached now; a later try may succeed.
    """
    version = parse_granule_name(granule.name).version
    fields = {name: dtype for name, dtype in FOOTPRINT_SCHEMA.items() if name not in ("granule", "beam")}
    own_dtype = {name: None for name in extra_fields if name not in FOOTPRINT_SCHEMA}
    with open_granule(granule) as file:
        beams = [
            _read_beam(file, name, granule, {**fields, **own_dtype}, version)
            for name in beams_of(file, granule.name)
        ]
    is_alike = all(beam.schema == beams[0].schema for beam in beams)
    return pl.concat(beams, how="vertical" if is_alike else "vertical_relaxed")


def beams_of(file: h5py.File, name: str) -> list[str]:
    """Return the groups of the beams of a granule, in the order of their names.

    Args:
        file: an open granule.
        name: of the granule, for the message.

    Returns:
        Names such as `BEAM0101`.

    Raises:
        GranuleError: there is none.
    """
    names = sorted(group for group in file if _BEAM.fullmatch(group))
    if not names:
        raise GranuleError(f"The granule {name} holds no beam (a group BEAMxxxx).")
    return names


@contextmanager
def open_granule(granule: GranuleFile) -> Iterator[h5py.File]:
    """Open a granule; what fails while it is read is an error of the granule too.

    Raises:
        GranuleError: the file is no HDF5, truncated or damaged.
        GranuleUnavailableError: the file can't be reached now; a later try may succeed.
    """
    if granule.size == 0:
        raise GranuleError(f"The granule {granule.name} is empty (0 bytes).")
    with granule_errors(granule), h5py.File(_open_source(granule), "r") as file:
        yield file


@contextmanager
def granule_errors(granule: GranuleFile) -> Iterator[None]:
    """Turn what fails while a granule is read into an error that names it.

    Raises:
        GranuleError: the file is no HDF5, truncated or damaged.
        GranuleUnavailableError: the file can't be reached now; a later try may succeed.
    """
    try:
        yield
    except obstore.exceptions.BaseError as error:
        raise GranuleUnavailableError(
            f"The granule {granule.name} can't be fetched: {object_store.describe(error)}."
        ) from error
    except MemoryError as error:
        raise GranuleUnavailableError(f"There is too little memory to read {granule.name}.") from error
    except (OSError, RuntimeError, KeyError) as error:
        if code := transient_errno(error):
            raise GranuleUnavailableError(
                f"The granule {granule.name} can't be read now: {os.strerror(code)}."
            ) from error
        raise GranuleError(_why_unreadable(granule, str(error))) from error


_OF_THE_CONTENT = {errno.EINVAL, errno.EOVERFLOW, errno.EFBIG, errno.EISDIR, errno.ENAMETOOLONG, errno.ENXIO}
"""What the system answers where a damaged file leads to impossible positions, or a name is no file's."""


def transient_errno(error: BaseException) -> int | None:
    """Return the system's error number of a failed access that another try may not meet, else None.

    Every error of the operating system is one, such as a lock, a network file system that is away, too many
    open files or a missing permission: it says nothing about the file's content. h5py has the number as
    `errno` or, for what fails inside HDF5, in its words.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        named = re.search(r"errno = (\d+)", str(error))
        number = int(named[1]) if named else None
    return number if number and number not in _OF_THE_CONTENT else None


def _open_source(granule: GranuleFile) -> Path | object_store.RangeFile:
    if object_store.is_url(granule.source):
        return object_store.RangeFile(granule.source, granule.name, granule.size)
    return Path(granule.source) / granule.name


def _why_unreadable(granule: GranuleFile, message: str) -> str:
    """Return why HDF5 can't read a granule: it has no error codes, so texts tell the common cases apart."""
    if "file signature not found" in message:
        return f"The granule {granule.name} is not an HDF5 file."
    if "truncated file" in message:
        return f"The granule {granule.name} is truncated after {granule.size} bytes."
    return f"The granule {granule.name} is damaged: {message}."


def _read_beam(
    file: h5py.File,
    beam: str,
    granule: GranuleFile,
    fields: dict[str, type[pl.DataType] | None],
    version: str,
) -> pl.DataFrame:
    where = f"{beam} of granule {granule.name}"
    group = file[beam]
    columns: dict[str, pl.Series] = {}
    for field, dtype in fields.items():
        name = L4A.field_in(field, version)
        # Some releases keep the earlier name.
        name = name if name in group else field
        if name in group or field in REQUIRED_FIELDS:
            columns[field] = _read_field(group, name, dtype, where)
        else:
            shots = columns["shot_number"].len()
            columns[field] = pl.Series(field, [None], dtype=dtype or pl.Null).new_from_index(0, shots)
    shots = columns["shot_number"].len()
    for field, column in columns.items():
        if column.len() != shots:
            raise GranuleError(f"The field {field} in {where} has {column.len()} values for {shots} shots.")
    columns["granule"] = pl.Series([granule_stem(granule.name)]).new_from_index(0, shots)
    columns["beam"] = pl.Series([beam]).new_from_index(0, shots)
    return pl.DataFrame({name: columns[name] for name in dict.fromkeys([*FOOTPRINT_SCHEMA, *fields])})


def _read_field(beam: h5py.Group, field: str, dtype: type[pl.DataType] | None, where: str) -> pl.Series:
    dataset = beam.get(field)
    if not isinstance(dataset, h5py.Dataset):
        raise GranuleError(f"The field {field} is missing in {where}.")
    if dataset.ndim != 1:
        raise GranuleError(
            f"The field {field} in {where} has the shape {dataset.shape}, not one value per shot."
        )
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return pl.Series(field, dataset.asstr()[:], dtype=pl.String)
    values = read_column(dataset)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if dtype == pl.Int64 and not np.issubdtype(values.dtype, np.integer):
        raise GranuleError(f"The field {field} in {where} must hold integers, not {values.dtype}.")
    series = pl.Series(field, values)
    try:
        return series if dtype is None else series.cast(dtype)
    except pl.exceptions.InvalidOperationError as error:
        raise GranuleError(f"The field {field} in {where} holds values that are no {dtype!r}.") from error
