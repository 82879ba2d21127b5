"""One beam of one product's granule: its shots, and the values of its fields for some of them."""

from dataclasses import dataclass, field

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from factory_pipeline.builds.gedi.granules import GranuleFile, granule_errors
from factory_pipeline.builds.gedi.hdf5_columns import read_column
from factory_pipeline.config.gedi_products import NODATA, GediProduct
from factory_pipeline.config.problems import suggest_names
from factory_pipeline.errors import GranuleError

Shots = NDArray[np.uint64]
"""Shot numbers: of 64 bits, so that none is rounded as it would be in a float."""


@dataclass
class ProductBeam:
    """A beam of an open granule; each field is read once."""

    product: GediProduct
    release: str
    granule: GranuleFile
    group: h5py.Group | None
    """None where the granule lacks the beam: it then has no shots."""
    shots: Shots = field(init=False)
    """(shots,) each once, in rising order."""
    repeated: Shots = field(init=False)
    """Shot numbers that are there again."""
    _rows: NDArray[np.intp] = field(init=False)
    """(shots,) where in the beam a shot is first."""
    _read: dict[str, NDArray[np.generic]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Read the shot numbers.

        Raises:
            GranuleError: they are missing, or are not integers.
            GranuleUnavailableError: the granule can't be reached now.
        """
        stored = np.empty(0, np.uint64) if self.group is None else self._dataset("shot_number")
        if not np.issubdtype(stored.dtype, np.integer):
            raise GranuleError(
                f"The field shot_number in {self._where} must hold integers, not {stored.dtype}."
            )
        numbers = stored.astype(np.uint64)
        self.shots, self._rows = np.unique(numbers, return_index=True)
        again = np.ones(len(numbers), dtype=np.bool_)
        again[self._rows] = False
        self.repeated = numbers[again]

    @property
    def _where(self) -> str:
        beam = "" if self.group is None else f"{(self.group.name or '').lstrip('/')} of "
        return f"{beam}granule {self.granule.name}"

    def values(self, name: str, index: int | None, shots: Shots) -> pl.Series:
        """Return a field of some shots; a number that the product calls no data is NaN.

        Args:
            name: of the field, as version 2 of the product names it.
            index: which value of a profile; None for all, then the series is of arrays.
            shots: some of `self.shots`.

        Raises:
            GranuleError: the field is missing, or does not have one value, or one profile, per shot.
            GranuleUnavailableError: the granule can't be reached now.
        """
        if name not in self._read:
            self._read[name] = self._dataset(self.product.field_in(name, self.release))
        stored = self._read[name]
        if index is not None and (stored.ndim < 2 or index >= stored.shape[1]):
            raise GranuleError(
                f"The field {name} in {self._where} has no value [{index}]; its shape is {stored.shape}."
            )
        values = stored[self._rows[np.searchsorted(self.shots, shots)]]
        if index is not None:
            values = values[:, index]
        if values.dtype.kind == "f":
            values = np.where(values == NODATA, np.array(np.nan, values.dtype), values)
        if values.dtype.kind in "OU":
            return pl.Series(name, values.tolist(), dtype=pl.String)
        shape = None if values.ndim == 1 else pl.Array(pl.Series(values[:0, 0]).dtype, values.shape[1])
        return pl.Series(name, values, dtype=shape)

    def _dataset(self, name: str) -> NDArray[np.generic]:
        """Return a field of all shots of the beam."""
        assert self.group is not None
        with granule_errors(self.granule):
            dataset = self.group.get(name)
            if not isinstance(dataset, h5py.Dataset):
                names = list(self.group[name.rpartition("/")[0] or "."]) if self._has_folder(name) else []
                close = suggest_names(name.rpartition("/")[2], names)
                raise GranuleError(f"The field {name} is missing in {self._where}{close}.")
            if dataset.ndim not in (1, 2) or (name != "shot_number" and len(dataset) != self._length):
                raise GranuleError(
                    f"The field {name} in {self._where} has the shape {dataset.shape}, not a value or a"
                    f" profile for each of {self._length} shots."
                )
            if h5py.check_string_dtype(dataset.dtype) is not None:
                return dataset.asstr()[:]
            values = read_column(dataset) if dataset.ndim == 1 else dataset[:]
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    @property
    def _length(self) -> int:
        """Shots of the beam, those that are there again included."""
        assert self.group is not None
        return len(self.group["shot_number"])

    def _has_folder(self, name: str) -> bool:
        assert self.group is not None
        return isinstance(self.group.get(name.rpartition("/")[0] or "."), h5py.Group)
