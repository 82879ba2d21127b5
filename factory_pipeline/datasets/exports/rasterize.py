"""One raster of class values per sample: its shapes are burned, then its mask overwrites them."""

from collections.abc import Mapping

import numpy as np
from rasterio.features import rasterize

from factory_pipeline.datasets.exports.clip_annotations import has_area, outline
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.datasets.versions.class_values import no_class
from factory_pipeline.errors import ExportError


def unlabelled_value(values: Mapping[str, int]) -> int:
    """Return the value of pixels of no class, the same as in the masks of the version.

    It is 0 or, if 0 is a class, the largest value that a mask of these classes can store.

    Args:
        values: class value by label, each in 0 to 65535.
    """
    return no_class(values)[0]


def index_mask(sample: Sample, version: VersionContent) -> SampleRaster:
    """Return the class value of every pixel of a sample.

    A pixel belongs to a rectangle or polygon if its centre is in it; the later shape wins. Lines have no area
    and are ignored. Values of the mask are written last, unchanged.

    Args:
        sample: of the version.
        version: its `values` are the pixel values of the classes.

    Returns:
        (1, height, width), uint8 if that contains all values, else uint16; `nodata` is `unlabelled_value`.

    Raises:
        ExportError: the mask contains a value that is not a class.
    """
    values = version.values
    unlabelled, dtype = no_class(values)
    index = np.full(sample.size, unlabelled, dtype)
    drawn = [(outline(shape), values[shape.label]) for shape in sample.shapes if has_area(shape)]
    burned = [(polygon, value) for polygon, value in drawn if polygon is not None]
    if burned:
        rasterize(burned, out=index)
    if sample.mask is not None:
        _overwrite(index, sample, sample.mask, version)
    return SampleRaster(index[None], ("class",), float(unlabelled))


def _overwrite(index: np.ndarray, sample: Sample, mask: SampleRaster, version: VersionContent) -> None:
    given = mask.values[0]
    known = np.ones(given.shape, bool) if mask.nodata is None else given != mask.nodata
    strange = np.setdiff1d(given[known], list(version.values.values()))
    if strange.size:
        raise ExportError(
            f"The mask of {sample.name} contains {strange[0]}, which is not the value of a label."
        )
    index[known] = given[known]
