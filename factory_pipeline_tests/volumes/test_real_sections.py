"""Ten real sections of electron microscopy, from points to files of pairs."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from PIL import Image

from factory_pipeline.cli.main import cli
from factory_pipeline_tests.volumes.factories import halved, spec_of, write_volume

REALDATA = os.environ.get("FACTORY_REALDATA", "")
pytestmark = pytest.mark.skipif(not REALDATA, reason="FACTORY_REALDATA is not set")


@pytest.mark.integration
def test_from_points_to_pairs_of_real_sections(tmp_path: Path) -> None:
    paths = [Path(REALDATA, "em", f"{number}.png") for number in range(10)]
    # An image has y first, a volume x.
    sections = np.stack([np.asarray(Image.open(path)).T for path in paths], axis=-1)
    mips = {0: sections, 1: halved(sections), 2: halved(halved(sections))}
    address = write_volume(tmp_path / "image", mips, chunk=(128, 128, 1), mip0=(4, 4, 50))
    reference = {"path": address, "src_mip": 2, "dst_mip": 2, "x_size": 128, "y_size": 128}
    image = {"path": address, "src_mip": 1, "reference": reference}
    template = spec_of(address, image=image, max_mip=2, dst_mip=1, x_size=128, y_size=96, pairs=[])
    (tmp_path / "template.json").write_text(json.dumps(template))
    (tmp_path / "points.csv").write_text("x0,y0,z0\n130,161,9\n130,161,4\n")
    spec, out = tmp_path / "spec.json", tmp_path / "out"
    for command in (
        f"create-spec --src_spec_path {tmp_path / 'template.json'} --dst_spec_path {spec}"
        f" --points_path {tmp_path / 'points.csv'} --offsets -1 --permute_pairs",
        f"make-dataset --spec_path {spec} --dst_path {out}",
    ):
        ended = CliRunner().invoke(cli, command.split())
        assert ended.exit_code == 0, ended.output
    with h5py.File(out / "x128_y160_z9_MIP1.h5") as file:
        pairs = file["main"][...]
    assert pairs.shape == (4, 2, 128, 96)
    # Sections that follow one another are alike, those five sections apart are not.
    for src, tgt in pairs:
        assert 0.05 < np.corrcoef(src.ravel(), tgt.ravel())[0, 1] < 0.5
    assert abs(np.corrcoef(pairs[0, 0].ravel(), pairs[2, 0].ravel())[0, 1]) < 0.05
    assert abs(pairs.mean()) < 0.5
    assert 0.5 < pairs.std() < 1.5
    table = pl.read_parquet(out / "x128_y160_z9_MIP1.pairs.parquet")
    assert table["split"].to_list() == ["train", "train", "validation", "validation"]
