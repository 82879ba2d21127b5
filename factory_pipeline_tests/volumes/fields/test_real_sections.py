"""Ten real sections of electron microscopy: pairs of a volume are aligned from coarse to fine."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from factory_pipeline.volumes.aligners.reference import align
from factory_pipeline.volumes.fields.join import join_shards
from factory_pipeline.volumes.fields.shards import divide, write_shard
from factory_pipeline.volumes.pair_dataset import make_dataset
from factory_pipeline_tests.volumes.aligners.sections import error, pulled, smooth_field
from factory_pipeline_tests.volumes.factories import halved, spec_of, write_volume
from factory_pipeline_tests.volumes.fields.pairs import task_of

REALDATA = os.environ.get("FACTORY_REALDATA", "")
pytestmark = [
    pytest.mark.integration,  # takes seconds
    pytest.mark.skipif(not REALDATA, reason="FACTORY_REALDATA is not set"),
]


def sections() -> np.ndarray:
    """Grey values of the sections, (x, y, z)."""
    paths = [Path(REALDATA, "em", f"{number}.png") for number in range(10)]
    return np.stack([np.asarray(Image.open(path)).T for path in paths], axis=-1)


@pytest.mark.parametrize("mip", [0, 1])
def test_a_known_warp_of_a_real_section_is_recovered_to_half_a_pixel(mip):
    section = sections()[..., 3].astype(np.float32)
    section = (section - section.mean()) / section.std()
    for _ in range(mip):
        section = section.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    known = smooth_field(section.shape, (12, -9), 4.0)
    found = align(section, pulled(section, known), np.zeros_like(known), mip)
    assert error(found, known, margin=24).max() < 0.5


def test_neighbouring_sections_are_more_alike_after_each_stage(tmp_path):
    image = sections()
    mips = {0: image, 1: halved(image), 2: halved(halved(image))}
    address = write_volume(tmp_path / "image", mips, chunk=(128, 128, 1), mip0=(4, 4, 50))
    places = [
        {
            side: {"x_start": 0, "y_start": 0, "z_start": z - 1}
            for side, z in zip(("src", "tgt"), pair, strict=True)
        }
        for pair in ((6, 5), (10, 9), (9, 10))
    ]
    previous = None
    for src_mip, dst_mip, size in ((2, 1, 128), (1, 1, 256)):
        spec = spec_of(address, image={"path": address, "src_mip": src_mip}, max_mip=2, dst_mip=src_mip)
        spec |= {"x_size": size, "y_size": size, "pairs": places}
        made = make_dataset(spec, tmp_path / f"MIP{src_mip}")
        task = task_of(
            made.paths.images,
            "reference",
            previous=previous,
            src_mip=src_mip,
            dst_mip=dst_mip,
            shape=(256, 256),
        )
        shards = tmp_path / f"shards {src_mip}"
        shards.mkdir()
        for pairs in divide(task.pairs):
            write_shard(task, task.aligner.load("cpu"), pairs, shards / pairs.file_name)
        previous = tmp_path / f"field_{2 - src_mip}.h5"
        assert join_shards(shards, previous) == 3
        with h5py.File(previous) as file:
            before, after = file["correlation"][:].T
            assert file["main"].shape == (3, 2, 256, 256)
        assert (after > before + (0.03 if src_mip == 2 else 0.0)).all()
    assert after.min() > 0.25
