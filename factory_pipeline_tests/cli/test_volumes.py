"""The commands of image pairs, with the names and options of the scripts that they replace."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from factory_pipeline.cli.main import cli
from factory_pipeline.errors import SpecError
from factory_pipeline.volumes.spec import load_spec
from factory_pipeline_tests.volumes.factories import halved, spec_of, texture, write_volume

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

IMAGE = texture((64, 64, 8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    address = write_volume(tmp_path / "image", {0: IMAGE, 1: halved(IMAGE)})
    template = spec_of(address, max_mip=2, pairs=[], name="west")
    (tmp_path / "template.json").write_text(json.dumps(template))
    (tmp_path / "points.csv").write_text("x0,y0,z0\n5,10,7\n32,17,4\n")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def create(folder: Path, *more: object) -> Result:
    return run(
        *(
            "create_spec",
            "--src_spec_path",
            folder / "template.json",
            "--dst_spec_path",
            folder / "spec.json",
        ),
        *("--points_path", folder / "points.csv", "--offsets", -1, -2, -3, "--permute_pairs", *more),
    )


def test_from_points_to_pairs(folder: Path) -> None:
    created = create(folder, "--neuroglancer-state", folder / "state.json")
    assert created.exit_code == 0, created.output
    assert f"12 pairs: {folder / 'spec.json'}" in created.output
    assert "Keys that are kept and mean nothing here: $.name" in created.output
    state = json.loads((folder / "state.json").read_text())
    assert len(state["layers"][1]["annotations"]) == 8
    made = run("make_dataset", "--spec_path", folder / "spec.json", "--dst_path", folder / "out")
    assert made.exit_code == 0, made.output
    assert "12 pairs: " in made.output
    assert "The last location has 6 pairs, and metroem validates on the last 2 alone" in made.output
    with h5py.File(folder / "out" / "x4_y8_z7_MIP0.h5") as file:
        assert file["main"].shape == (12, 2, 16, 16)
        section = IMAGE[4:20, 8:24, 7].astype(float)
        normal = (section - section.mean()) / section.std(ddof=1)
        np.testing.assert_allclose(file["main"][0, 0], normal, atol=1e-4)


def test_hyphens_lists_and_the_form_of_pairs(folder: Path) -> None:
    created = run(
        *(
            "create-spec",
            "--src-spec-path",
            folder / "template.json",
            "--dst-spec-path",
            folder / "spec.json",
        ),
        *("--points-path", folder / "points.csv", "--offsets=-1", "--offsets", 2, "--pair-form", "list"),
    )
    assert created.exit_code == 0, created.output
    pairs = json.loads((folder / "spec.json").read_text())["pairs"]
    assert [[place["z_start"] for place in pair] for pair in pairs] == [[7, 6], [7, 9], [4, 3], [4, 6]]


def test_points_in_other_voxels(folder: Path) -> None:
    (folder / "points.csv").write_text("x0,y0,z0\n10,8,7\n")
    assert create(folder, "--points_resolution", 8, 16, 40).exit_code == 0
    src, _ = load_spec(folder / "spec.json").boxes()[0]
    assert (src.x, src.y, src.z) == (20, 32, 7)


def test_a_spec_with_other_content_is_never_overwritten(folder: Path) -> None:
    assert create(folder).exit_code == 0
    assert create(folder).exit_code == 0
    (folder / "points.csv").write_text("x0,y0,z0\n10,8,7\n")
    refused = create(folder)
    assert isinstance(refused.exception, SpecError)
    assert "exists with other content" in str(refused.exception)
    assert len(load_spec(folder / "spec.json").pairs) == 12


def test_what_is_left_out_is_reported(folder: Path) -> None:
    (folder / "points.csv").write_text('Coordinate 1,Type\n"(5, 10, 7)",Point\n"(5, 10, 7)",Line\n')
    assert "Left out, as they are not points: 1 of the type Line" in create(folder).output


def test_check_names_every_fault(folder: Path) -> None:
    valid = run("create-spec", "--check", folder / "template.json")
    assert valid.exit_code == 0
    assert "is valid: 0 pairs." in valid.output
    broken = spec_of("image", x_size=0, pairs=[{}])
    (folder / "broken.json").write_text(json.dumps(broken))
    named = run("create-spec", "--check", folder / "broken.json")
    assert named.exit_code == 1
    for fault in ("$.image.path: must be", "$.x_size: must be", "$.pairs[0].src: is missing"):
        assert f"broken.json: {fault}" in named.output


def test_a_viewer_for_a_spec_that_exists(folder: Path) -> None:
    assert create(folder).exit_code == 0
    shown = run(
        "create-spec", "--src_spec_path", folder / "spec.json", "--neuroglancer_state", folder / "s.json"
    )
    assert shown.exit_code == 0, shown.output
    assert json.loads((folder / "s.json").read_text())["layers"][0]["type"] == "image"


def test_options_that_are_missing(folder: Path) -> None:
    assert run("create-spec").exit_code == 2
    assert run("create-spec", "--src_spec_path", folder / "template.json").exit_code == 2
    offsets = create(folder, "--offsets")
    assert offsets.exit_code == 2
    assert "Option '--offsets' requires an argument" in offsets.output


def test_files_are_written_to_folders(folder: Path) -> None:
    refused = run("make-dataset", "--spec_path", folder / "template.json", "--dst_path", "gs://bucket/pairs")
    assert refused.exit_code == 2
    assert "gs:/bucket/pairs is an address; files are written to a folder" in refused.output


def test_a_stretch_at_two_mips(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    arguments = ["--mips", 0, 1, "--patch_sizes", 32, 16, "--x_offset", 8, "--y_offset", 4]
    arguments += ["--z_start", 2, "--z_end", 5, "--cv_path", "image", "--dst_folder", "out", "--parallel", 2]
    made = run("download_image", *arguments)
    assert made.exit_code == 0, made.output
    with h5py.File(folder / "out" / "x8_y4_z2_MIP0.h5") as file:
        np.testing.assert_array_equal(file["img"][2, 1], IMAGE[8:40, 4:36, 3])
    with h5py.File(folder / "out" / "x8_y4_z2_MIP1.h5") as file:
        np.testing.assert_array_equal(file["img"][0, 0], halved(IMAGE)[4:20, 2:18, 2])
    unequal = run("download-image", *arguments, "--mips", 1)
    assert unequal.exit_code == 2
    assert "There are 3 --mips and 2 --patch_sizes." in unequal.output


def test_raw_values_and_zeros_outside(folder: Path) -> None:
    (folder / "points.csv").write_text("x0,y0,z0\n56,0,4\n")
    assert create(folder).exit_code == 0
    arguments = ["make-dataset", "--spec-path", folder / "spec.json", "--dst-path", folder / "out"]
    assert "Boxes are outside the volume" in str(run(*arguments).exception)
    made = run(*arguments, "--unnormalize", "--fill-missing", "--resampling", "area", "--cache-mb", 1)
    assert made.exit_code == 0, made.output
    with h5py.File(folder / "out" / "x56_y0_z4_MIP0.h5") as file:
        np.testing.assert_array_equal(file["main"][0, 0, :8], IMAGE[56:, :16, 4])
        assert not file["main"][0, 0, 8:].any()
