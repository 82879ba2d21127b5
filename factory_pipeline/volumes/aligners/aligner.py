"""What an aligner is, and where one comes from."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.errors import AlignerError
from factory_pipeline.volumes.warp import compose

Image = NDArray[np.float32]
"""A section, shape (x, y); pixels that are 0 have no data."""
Field = NDArray[np.float32]
"""Displacements in pixels, shape (2, x, y): channel 0 along the last axis (y), channel 1 along x."""


class Aligner(Protocol):
    """Returns the field that a source is warped by to be like its target: the previous field made better."""

    def __call__(self, src: Image, tgt: Image, previous: Field, mip: int) -> Field:
        """Align one pair.

        Args:
            src: section to be aligned.
            tgt: section that it is aligned to, of the same shape.
            previous: the field that is known so far, in pixels of `mip`; zeros for none.
            mip: of the sections and of all fields.
        """


class ResidualFunction(Protocol):
    """Returns what is to be added to the previous field: the residual field.

    The source, warped by `previous` and then by the residual field, is like the target.
    """

    def __call__(self, src: Image, tgt: Image, previous: Field, mip: int) -> Field:
        """Find the residual field; arguments as those of an `Aligner`."""


class AlignerSource(Protocol):
    """Where an aligner is loaded from; small, so that a process can be given it."""

    @property
    def uses_torch(self) -> bool:
        """Whether PyTorch runs it, on a GPU if there is one."""

    def __hash__(self) -> int:
        """Two of the same aligner are the same."""

    def identity(self) -> str:
        """Return a text that differs wherever the fields may differ; no path is in it."""

    def load(self, device: str) -> Aligner:
        """Load the aligner.

        Args:
            device: `cpu` or `cuda`.

        Raises:
            AlignerError: it can't be loaded.
            MissingExtraError: PyTorch is not installed.
        """


def compose_with_previous(residual: ResidualFunction, name: str) -> Aligner:
    """Return the aligner that composes what a function finds with the previous field.

    Args:
        residual: returns the residual field of a pair.
        name: of the function, for messages.
    """

    def align(src: Image, tgt: Image, previous: Field, mip: int) -> Field:
        found = np.asarray(residual(src, tgt, previous, mip))
        if found.shape != previous.shape:
            raise AlignerError(
                f"The aligner {name} returned an array of shape {found.shape}; a field of shape"
                f" {previous.shape} is needed."
            )
        return compose(previous, found.astype(np.float32))

    return align
