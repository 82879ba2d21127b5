"""The sample volume: sections of tissue, their coarse field and a mask of defects, with points and a spec.

Written as neuroglancer precomputed volumes by tensorstore
(https://github.com/google/neuroglancer/tree/master/src/datasource/precomputed).
"""

import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray

from factory_pipeline.storage.atomic import write_text
from factory_pipeline.synthetic.sections import SectionPlan, Sections
from factory_pipeline.volumes.warp import resample

MIPS = 4
COARSEST = MIPS - 1
FIELD_MIPS = (2, 3)
"""Fields are smooth: their finer mips would have nothing more."""
RESOLUTION_NM = (8, 8, 40)
OFFSET = (1024, 2048, 300)
"""First voxel of the volume at MIP 0; a multiple of 2**COARSEST along x and y."""
CHUNK = (256, 256, 1)
WINDOW = 128
"""Pixels of the boxes of the spec, along both axes."""
SPEC_MIP = 2

OnSection = Callable[[int, int], object]
"""Is given how many of how many sections are written."""


@dataclass(frozen=True)
class SampleVolume:
    """Files of a sample volume."""

    root: Path

    @property
    def image(self) -> Path:
        """The sections (uint8)."""
        return self.root / "image"

    @property
    def field(self) -> Path:
        """The field that undoes the shift of each section, in pixels of MIP 0 (float32, 2 channels)."""
        return self.root / "field"

    @property
    def defects(self) -> Path:
        """The mask of stains (uint8): 255 where the section is stained."""
        return self.root / "defects"

    @property
    def points(self) -> Path:
        """Points as Neuroglancer exports the annotations of a layer (CSV)."""
        return self.root / "points.csv"

    @property
    def spec(self) -> Path:
        """A spec without pairs, for `factory create-spec`."""
        return self.root / "spec_template.json"


def make_volume(
    root: Path, plan: SectionPlan | None = None, on_section: OnSection | None = None
) -> SampleVolume:
    """Write the sample volume, complete or not at all; one that exists is left as it is.

    Args:
        root: a folder that does not exist, or the volume.
        plan: what the sections are like; those of the demo by default. Edges are multiples of 8 pixels.
        on_section: is called after each section.
    """
    if root.exists():
        return SampleVolume(root)
    sections = Sections(plan or SectionPlan())
    temporary = SampleVolume(root.with_name(f".{root.name}.{uuid.uuid4().hex[:8]}.part"))
    try:
        _write_volumes(temporary, sections, on_section)
        write_text(temporary.points, points_csv(sections.plan))
        template = spec_template(SampleVolume(root.absolute()))
        write_text(temporary.spec, json.dumps(template, indent=2) + "\n")
        temporary.root.rename(root)
    finally:
        shutil.rmtree(temporary.root, ignore_errors=True)
    return SampleVolume(root)


def points_csv(plan: SectionPlan) -> str:
    """Return points as Neuroglancer exports annotations: three far apart, and one in the lost section."""
    edge = WINDOW << SPEC_MIP
    starts = [
        [(length - edge) * part // 8 for part in parts]
        for length, parts in zip(plan.shape, _PARTS, strict=True)
    ]
    third = (plan.sections - 1) // 3
    sections = [third - 1, 2 * third - 1, 3 * third - 1, plan.sections - 1]
    header = "Coordinate 1,Coordinate 2,Ellipsoid Dimensions,Tags,Description,Segment IDs,Parent ID,Type,ID"
    rows = [
        f'"({OFFSET[0] + x}, {OFFSET[1] + y}, {OFFSET[2] + z})",,,,,,,Point,{number:040x}'
        for number, (x, y, z) in enumerate(zip(*starts, sections, strict=True))
    ]
    return "\n".join([header, *rows]) + "\n"


_PARTS = ((4, 2, 6, 4), (4, 6, 2, 4))
"""Eighths of the way from one edge to the other at which the boxes of the points start, along x and y."""


def spec_template(volume: SampleVolume) -> dict[str, Any]:
    """Return the spec of boxes of the volume, without pairs."""
    reference = {"src_mip": COARSEST, "dst_mip": COARSEST, "x_size": WINDOW // 2, "y_size": WINDOW // 2}
    image, field = str(volume.image), str(volume.field)
    return {
        "image": {"path": image, "src_mip": SPEC_MIP, "reference": {"path": image, **reference}},
        "field": {"path": field, "src_mip": COARSEST, "reference": {"path": field, **reference}},
        "masks": [{"path": str(volume.defects), "src_mip": SPEC_MIP, "threshold": 128}],
        "max_mip": COARSEST,
        "dst_mip": SPEC_MIP,
        "x_size": WINDOW,
        "y_size": WINDOW,
        "pairs": [],
    }


def _write_volumes(volume: SampleVolume, sections: Sections, on_section: OnSection | None) -> None:
    plan = sections.plan
    images = _create(volume.image, plan, range(MIPS), "uint8", 1)
    masks = _create(volume.defects, plan, range(MIPS), "uint8", 1)
    fields = _create(volume.field, plan, FIELD_MIPS, "float32", 2)
    for z in range(plan.sections):
        image, mask = sections.image(z).astype(np.float32), 255 * sections.defects(z).astype(np.float32)
        for mip, (image_store, mask_store) in enumerate(zip(images, masks, strict=True)):
            coarse = resample(image, 0, mip, "area")
            # A pixel that is partly outside of the tissue is outside.
            coarse[resample((image == 0).astype(np.float32), 0, mip, "area") > 0] = 0
            _write(image_store, z, coarse.round()[None])
            _write(mask_store, z, resample(mask, 0, mip, "area").round()[None])
        for mip, store in zip(FIELD_MIPS, fields, strict=True):
            _write(store, z, sections.coarse_field(z)[:, :: 1 << mip, :: 1 << mip])
        if on_section:
            on_section(z + 1, plan.sections)


def _create(
    path: Path, plan: SectionPlan, mips: range | tuple[int, ...], dtype: str, channels: int
) -> list[Any]:
    """Create a volume and return its mips, to be written."""
    stores = []
    for mip in mips:
        spec = {
            "driver": "neuroglancer_precomputed",
            # A chunk that is missing is a fault of the volume, so black ones are written too.
            "store_data_equal_to_fill_value": True,
            "kvstore": {"driver": "file", "path": f"{path}/"},
            "multiscale_metadata": {"type": "image", "data_type": dtype, "num_channels": channels},
            "scale_metadata": {
                "size": [*(length >> mip for length in plan.shape), plan.sections],
                "voxel_offset": [OFFSET[0] >> mip, OFFSET[1] >> mip, OFFSET[2]],
                "resolution": [RESOLUTION_NM[0] << mip, RESOLUTION_NM[1] << mip, RESOLUTION_NM[2]],
                "chunk_size": list(CHUNK),
                "encoding": "raw",
            },
        }
        stores.append(ts.open(spec, create=True, open=True).result())
    return stores


def _write(store: Any, z: int, values: NDArray[np.float32]) -> None:
    """Write a section, (channels, x, y)."""
    section = values.transpose(1, 2, 0).astype(store.dtype.numpy_dtype)
    store[:, :, OFFSET[2] + z].write(section).result()
