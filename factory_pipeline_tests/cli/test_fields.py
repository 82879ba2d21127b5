"""`factory generate-fields` and `factory concat-fields`, with the flags of metroem's scripts."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from factory_pipeline.cli.main import cli, main
from factory_pipeline_tests.volumes.fields.pairs import HERE, read, write_dataset, write_pairs


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors of `factory`."""
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.integration
def test_fields_of_pairs_from_the_command_line(tmp_path, capsys):
    images = write_pairs(tmp_path, 5, (8, 8))
    previous = write_dataset(tmp_path / "previous.h5", np.full((5, 2, 8, 8), 0.25))
    arguments = {
        "pyramid_path": f"{HERE}:mean_of_source",
        "image_path": images,
        "prev_field_path": previous,
        "temp_dir": tmp_path / "shards",
        "stage": 1,
        "checkpoint_name": "test",
        "src_mip": 3,
        "dst_mip": 2,
        "gpu": "0,1",
    }
    flags = [part for name, value in arguments.items() for part in (f"--{name}", value)]
    code, told, _ = run(capsys, "generate-fields", *flags)
    assert code == 0
    assert f"5 fields of MIP 2 in 5 shards in {tmp_path / 'shards'}" in told
    dashed = [str(part).replace("_", "-") if str(part).startswith("--") else part for part in flags]
    code, told, _ = run(capsys, "generate-fields", *dashed, "--json")
    assert json.loads(told)["pairs"] == 5
    output = tmp_path / "fields.h5"
    code, told, _ = run(capsys, "concat-fields", "--temp-dir", tmp_path / "shards", "--dst-path", output)
    assert (code, told) == (0, f"5 fields in {output}\n")
    np.testing.assert_allclose(read(output)[:, 0].mean(axis=(1, 2)), 2 * (np.arange(5) + 1.25), atol=0.006)
    (tmp_path / "shards" / "2_3.h5").unlink()
    code, _, told = run(
        capsys, "concat-fields", "--temp_dir", tmp_path / "shards", "--dst_path", tmp_path / "other.h5"
    )
    assert (code, told.count("\n")) == (1, 1)
    assert "have a gap: the pairs 2 to 2 are missing" in told


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--gpu", "cuda"], "'cuda' is not a list of numbers such as 0,1"),
        (["--pyramid_path", "absent"], "There is no aligner absent; allowed are reference"),
        (["--dst_mip", 4], "--dst_mip 4 must be at most --src_mip 3"),
        (["--x_size", 99], "Fields of MIP 3 can't be 99 pixels long in x"),
        (["--prev_field_path", "images.h5", "--stage", -1], "-1 is not in the range"),
    ],
)
def test_what_is_not_allowed_is_told_before_anything_is_written(
    tmp_path, capsys, monkeypatch, changed, message
):
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path, 2)
    flags = ["--pyramid_path", "reference", "--image_path", "images.h5", "--temp_dir", "shards"]
    code, _, told = run(capsys, "generate-fields", *flags, "--src_mip", 3, "--dst_mip", 3, *changed)
    assert code != 0
    assert message in " ".join(told.split())
    assert [path.name for path in tmp_path.iterdir()] == ["images.h5"]


def test_the_sample_volume_is_made_and_left_as_it_is(tmp_path, capsys, monkeypatch):
    from factory_pipeline.synthetic import volume
    from factory_pipeline.synthetic.sections import SectionPlan

    monkeypatch.setattr(volume, "SectionPlan", lambda: SectionPlan((64, 64), 3))
    code, told, _ = run(capsys, "sample", "--volume", "--output", tmp_path / "sample")
    assert code == 0
    assert f"Points: {tmp_path / 'sample' / 'volume' / 'points.csv'}" in told
    info = json.loads((tmp_path / "sample" / "volume" / "image" / "info").read_text())
    assert len(info["scales"]) == 4
    code, _, told = run(capsys, "sample", "--volume", "--serve", "--output", tmp_path / "sample")
    assert (code, "remove --granules, --gedi-product, --dataset and --serve" in told) == (2, True)


def test_channels_are_explained_in_the_help():
    shown = " ".join(CliRunner().invoke(cli, ["generate-fields", "--help"]).output.split())
    assert (
        "channel 0 along the last axis of the images (y of the volume), channel 1 along the first (x)"
        in shown
    )


@pytest.mark.integration
def test_the_demo_goes_from_points_to_fields_and_tells_how_much_the_alignment_improved(
    tmp_path, capsys, monkeypatch
):
    from factory_pipeline.cli import pairs_demo
    from factory_pipeline.synthetic import volume
    from factory_pipeline.synthetic.sections import SectionPlan

    monkeypatch.setattr(volume, "SectionPlan", lambda: SectionPlan(sections=7))
    monkeypatch.setattr(pairs_demo, "OFFSETS", (-1,))
    code, told, _ = run(capsys, "demo", "pairs", "--output", tmp_path / "demo")
    assert code == 0
    assert told.count("6 pairs: ") == 2
    assert "Rejected: 1 pair, src: no valid pixel" in told
    lines = [line for line in told.splitlines() if line.startswith("MIP ")]
    numbers = [[float(word) for word in line.split() if word.startswith("0.")] for line in lines]
    assert numbers[0][1] > numbers[0][0] + 0.3
    assert numbers[1][1] > numbers[1][0] > 0.5
    tables = [
        pl.read_parquet(next((tmp_path / "demo" / name).glob("*.parquet"))) for name in ("coarse", "fine")
    ]
    assert tables[0]["pair", "row"].equals(tables[1]["pair", "row"])
    fields = sorted((tmp_path / "demo" / "fine").glob("field_*.h5"))
    assert [read(path).shape for path in fields] == [(6, 2, 128, 128)] * 3
