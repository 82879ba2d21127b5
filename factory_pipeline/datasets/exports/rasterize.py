"""One raster of class values per sample: its shapes burned in, then its mask laid over them."""

from collections.abc import Mapping

import numpy as np
from rasterio.features import rasterize

from factory_pipeline.datasets.exports.clip_annotations import has_area, outline
from factory_pipeline.datasets.model.sample import Sample, SampleRaster
from factory_pipeline.datasets.model.version_content import VersionContent
from factory_pipeline.datasets.versions.class_values import no_class
from factory_pipeline.errors import ExportError


def unlabelled_value(values: Mapping[str, int]) -> int:
    """The value of pixels of no class, the same as in the masks of the version: 0, or where that is a class,
    the largest that a mask of these values can hold.

    Args:
        values: class value by label, each in 0 to 65535.
    """
    return no_class(values)[0]


def index_mask(sample: Sample, version: VersionContent) -> SampleRaster:
    """Class values of every pixel of a sample.

    A pixel belongs to a rectangle or polygon if its centre lies in it; the later shape wins. Lines have no
    area and are left out. Values of the mask come last and stay as they are.

    Returns:
        (1, height, width), uint8 if that holds all values, else uint16; `nodata` is `unlabelled_value`.

    Raises:
        ExportError: the mask holds a value that is no class.
    """
    values = version.values
    unlabelled, dtype = no_class(values)
    index = np.full(sample.size, unlabelled, dtype)
    drawn = [(outline(shape), values[shape.label]) for shape in sample.shapes if has_area(shape)]
    burned = [(polygon, value) for polygon, value in drawn if polygon is not None]
    if burned:
        rasterize(burned, out=index)
    if sample.mask is not None:
        _lay_over(index, sample, sample.mask, version)
    return SampleRaster(index[None], ("class",), float(unlabelled))


def _lay_over(index: np.ndarray, sample: Sample, mask: SampleRaster, version: VersionContent) -> None:
    given = mask.values[0]
    known = np.ones(given.shape, bool) if mask.nodata is None else given != mask.nodata
    strange = np.setdiff1d(given[known], list(version.values.values()))
    if strange.size:
        raise ExportError(f"The mask of {sample.name} holds {strange[0]}, which is the value of no label.")
    index[known] = given[known]
