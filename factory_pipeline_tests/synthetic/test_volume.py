"""The sample volume: what tensorstore reads, what its sections show, what its points and spec say."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorstore
from scipy.ndimage import map_coordinates

from factory_pipeline.synthetic.sections import SectionPlan, Sections
from factory_pipeline.synthetic.volume import OFFSET, SampleVolume, make_volume, points_csv, spec_template

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

PLAN = SectionPlan(shape=(256, 192), sections=8, seed=3)


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> SampleVolume:
    return make_volume(tmp_path_factory.mktemp("volume") / "sample", PLAN)


def read(path: Path, mip: int) -> np.ndarray:
    """One mip of a volume, (x, y, z, channel), without its offset."""
    info = json.loads((path / "info").read_text())
    keys = [scale["key"] for scale in info["scales"]]
    resolution = f"{8 << mip}_{8 << mip}_40"
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": f"file://{path}/",
        "scale_index": keys.index(resolution),
    }
    return tensorstore.open(spec).result().read().result()


def test_the_volume_has_four_mips_and_their_offsets(volume):
    info = json.loads((volume.image / "info").read_text())
    assert [scale["size"] for scale in info["scales"]] == [[256 >> mip, 192 >> mip, 8] for mip in range(4)]
    assert [scale["voxel_offset"] for scale in info["scales"]] == [
        [OFFSET[0] >> mip, OFFSET[1] >> mip, OFFSET[2]] for mip in range(4)
    ]
    assert read(volume.field, 2).shape == (64, 48, 8, 2)


def test_a_coarse_mip_is_the_mean_of_the_finest(volume):
    fine, coarse = read(volume.image, 0)[..., 0], read(volume.image, 2)[..., 0]
    blocks = fine.reshape(64, 4, 48, 4, 8)
    has_tissue = (blocks > 0).all(axis=(1, 3))
    assert np.abs(blocks.mean(axis=(1, 3)) - coarse)[has_tissue].max() <= 0.5
    assert (coarse[~has_tissue] == 0).all()


def test_sections_show_the_same_tissue_at_displaced_places():
    sections = Sections(PLAN)
    first, second = (sections.image(z).astype(np.float64) for z in (0, 1))
    # p is at tissue p + d0(p); the place of the second section that shows this is found by iteration.
    x, y = np.mgrid[0:256, 0:192].astype(np.float64)
    goal = np.stack([x, y]) + sections.displacement(0)[::-1]
    place = goal.copy()
    for _ in range(15):
        moved = [
            map_coordinates(channel, place, order=1, mode="nearest") for channel in sections.displacement(1)
        ]
        place = goal - np.stack(moved[::-1])
    inside = (place > 2).all(axis=0) & (place[0] < 253) & (place[1] < 189)
    assert inside.mean() > 0.2
    aligned = map_coordinates(second, place, order=1)[inside]
    assert np.corrcoef(first[inside], aligned)[0, 1] > 0.75
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.3


def test_the_field_undoes_the_shift_of_each_section(volume):
    field = read(volume.field, 3)
    sections = Sections(PLAN)
    for z in range(PLAN.sections):
        assert (field[:, :, z] == -np.array(sections.shift(z))).all()
        left = sections.displacement(z).mean(axis=(1, 2)) - sections.shift(z)
        assert np.abs(left).max() < 20


def test_there_are_cracks_black_corners_stains_and_a_lost_section(volume):
    image, defects = read(volume.image, 0)[..., 0], read(volume.defects, 0)[..., 0]
    black = (image == 0).mean(axis=(0, 1))
    assert 0.004 < black[2] < 0.05
    assert (image[:40, :10, 3] == 0).all()
    assert black[7] == 1
    assert black[0] == 0
    assert set(np.unique(defects)) == {0, 255}
    assert (image[..., 1][defects[..., 1] > 0] == 235).all()


def test_points_and_spec_are_inside_of_the_volume(tmp_path):
    plan = SectionPlan(shape=(512, 512), sections=4)
    volume = SampleVolume(tmp_path / "volume")
    rows = list(csv.DictReader(points_csv(plan).splitlines()))
    places = [json.loads(row["Coordinate 1"].replace("(", "[").replace(")", "]")) for row in rows]
    spec = spec_template(volume)
    edge = spec["x_size"] << spec["dst_mip"]
    for place in places:
        for axis, length in enumerate((512 - edge, 512 - edge, 3)):
            assert OFFSET[axis] <= place[axis] <= OFFSET[axis] + length
    assert {row["Type"] for row in rows} == {"Point"}


def test_the_same_plan_gives_the_same_files_and_a_volume_that_exists_stays(volume, tmp_path):
    again = make_volume(tmp_path / "again", PLAN)
    files = sorted(path.relative_to(again.root) for path in again.image.rglob("*") if path.is_file())
    assert files
    assert all((again.root / name).read_bytes() == (volume.root / name).read_bytes() for name in files)
    again.points.write_text("changed")
    make_volume(again.root, PLAN)
    assert again.points.read_text() == "changed"
    assert [path.name for path in tmp_path.iterdir()] == ["again"]
