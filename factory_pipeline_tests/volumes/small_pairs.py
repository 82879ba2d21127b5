"""A small sample volume and its pairs, for tests of what is made of them."""

from pathlib import Path
from typing import Any

from factory_pipeline.synthetic.sections import SectionPlan
from factory_pipeline.synthetic.volume import OFFSET, SampleVolume, make_volume, spec_template
from factory_pipeline.volumes.aligners.choose import REFERENCE, choose_aligner
from factory_pipeline.volumes.fields.generate import PairRange, write_shard
from factory_pipeline.volumes.fields.join import join_shards
from factory_pipeline.volumes.fields.task import plan_fields

PLAN = SectionPlan(shape=(512, 512), sections=8, seed=5)
SHAPE = (64, 48)
"""Pixels of a section of a pair, at MIP 2."""
MIP = 2


def small_volume(folder: Path) -> SampleVolume:
    """Eight sections of 512 x 512 pixels; the last one is black."""
    return make_volume(folder / "volume", PLAN)


def small_spec(
    volume: SampleVolume, sections: tuple[tuple[int, int], ...] = ((1, 0), (4, 3), (5, 6), (6, 7))
) -> Any:
    """A spec of a pair of sections at a place of its own each; of the last one a section is black."""
    pairs = [
        {
            side: {
                "x_start": OFFSET[0] + 120 + 16 * number,
                "y_start": OFFSET[1] + 144,
                "z_start": OFFSET[2] + z,
            }
            for side, z in zip(("src", "tgt"), pair, strict=True)
        }
        for number, pair in enumerate(sections)
    ]
    reference = {"src_mip": 3, "dst_mip": 3, "x_size": SHAPE[0] // 2, "y_size": SHAPE[1] // 2}
    spec = spec_template(volume)
    spec["image"]["reference"] |= reference
    spec["field"]["reference"] |= reference
    return spec | {"x_size": SHAPE[0], "y_size": SHAPE[1], "pairs": pairs}


def reference_fields(images: Path, previous: Path | None, folder: Path) -> Path:
    """The fields of pairs by the reference aligner, without a process of its own."""
    task = plan_fields(images, previous, choose_aligner(REFERENCE, 0, "", MIP), MIP, MIP)
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    pairs = PairRange(0, task.pairs)
    write_shard(task, task.aligner.load("cpu"), pairs, folder / "shards" / pairs.file_name)
    join_shards(folder / "shards", folder / "fields.h5")
    return folder / "fields.h5"
