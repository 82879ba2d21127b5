"""`factory verify` of a build's output: what is right passes, whatever is changed is named."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from factory_pipeline.builds.verification.build_output import is_build_output, verify_build
from factory_pipeline.cli.main import cli
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.recipe import Recipe, Subset
from factory_pipeline_tests.builds.builds import build

SEED = 4


@dataclass(frozen=True)
class Drawn:
    """A copy of a build's output, and the one sample that the seed draws from it."""

    folder: Path
    file: Path
    index: int
    name: str


@pytest.fixture(scope="module")
def output(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    settings = BuildSettings(
        granules=str(small_archive / "granules"),
        output=folder / "out",
        catalog=str(small_archive),
        recipe=Recipe(batch_size=3, subset=Subset(dataset_size_max=3)),
        workers=1,
    )
    build(folder / "home", settings)
    return settings.output


@pytest.fixture
def drawn(output: Path, tmp_path: Path) -> Drawn:
    folder = tmp_path / "out"
    shutil.copytree(output, folder)
    (result,) = verify_build(folder, samples=1, seed=SEED).results
    assert result.passed
    file, _, index, *_ = result.name.split()
    return Drawn(folder, folder / file, int(index), result.name)


def failures(drawn: Drawn) -> list[str]:
    """What verifying the one sample says; it must be named, and fail."""
    (result,) = verify_build(drawn.folder, samples=1, seed=SEED).results
    assert result.name == drawn.name
    assert not result.passed
    assert not result.unreadable
    return list(result.differences)


def test_every_sample_of_a_good_build_agrees_with_the_original_rasters(output: Path):
    report = verify_build(output, samples=100, seed=0)
    assert report.passed, str(report)
    assert len(report.results) == report.total == 6


def test_the_command_says_so_and_ends_with_0(output: Path):
    done = CliRunner().invoke(cli, ["verify", str(output), "--samples", "1", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["kind"], report["passed"], report["checked"], report["total"]) == ("build", True, 1, 6)


CHANGED_PIXELS = [
    ("Sentinel-2 L2A", 0, 1, "Sentinel-2 SCL differs in 1 of 1024 pixels: [4, 7] is"),
    ("Sentinel-2 L2A", 1, 1, "Sentinel-2 B02 differs in 1 of 1024 pixels: [4, 7] is"),
    ("Sentinel-2 L2A", 11, 3, "Sentinel-2 B12 differs in 1 of 1024 pixels (allowed: 1 counts)"),
    ("WorldCover", 0, 10, "land cover differs in 1 of 1024 pixels: [4, 7] is"),
    ("CopDEM", 0, 0.1, "altitude differs in 1 of 1024 pixels (allowed: 0.01 m)"),
    ("CopDEM", 1, 0.5, "slope differs in 1 of 1024 pixels (allowed: 0.05 %)"),
    ("AGBD Raster", 0, 5, "AGBD raster differs in 1 of 1024 pixels: [4, 7] is"),
]


def test_one_changed_pixel_is_found_in_every_layer_and_in_no_other(drawn: Drawn):
    with h5py.File(drawn.file, "r+") as file:
        for dataset, layer, step, _ in CHANGED_PIXELS:
            file[f"data/{dataset}"][drawn.index, layer, 4, 7] += step
    told = [sentence for sentence in failures(drawn) if not sentence.startswith("data/S2 SCL Stats")]
    assert len(told) == len(CHANGED_PIXELS), told
    for _, _, _, right in CHANGED_PIXELS:
        assert any(sentence.startswith(right) for sentence in told), right


def test_wrong_provenance_is_found_whatever_it_is_of(drawn: Drawn):
    paths = [
        "data/GEDI Product Name",
        "data/GEDI Acquisition Time",
        "data/GEDI Delta Time",
        "data/Sentinel-2 Product Name",
        "data/CopDEM Tile Name",
        "data/WorldCover Tile Name",
        "provenance/GEDI Granule",
        "provenance/GEDI Beam",
        "provenance/Batch",
        "provenance/Sentinel-2 Baseline",
    ]
    with h5py.File(drawn.file, "r+") as file:
        for path in paths:
            file[path][drawn.index, 0] = b"wrong"
        file["provenance/Sentinel-2 Offset Removed"][drawn.index, 0] = 77
    told = failures(drawn)
    for path in paths:
        assert any(sentence.startswith(f"{path} is 'wrong', but must be ") for sentence in told), path
    assert any(sentence.startswith("provenance/Sentinel-2 Offset Removed is [77]") for sentence in told)


def test_an_item_that_no_search_found_is_named(drawn: Drawn):
    with h5py.File(drawn.file, "r+") as file:
        file["provenance/Sentinel-2 Item"][drawn.index, 0] = b"elsewhere"
    assert failures(drawn) == ["the item elsewhere is none that the searches found."]


def test_a_swapped_label_is_found(drawn: Drawn):
    with h5py.File(drawn.file, "r+") as file:
        other = (drawn.index + 1) % len(file["data/AGBD Values"])
        for name in ("AGBD Values", "AGBD Raster"):
            pair = file[f"data/{name}"][:]
            pair[[drawn.index, other]] = pair[[other, drawn.index]]
            file[f"data/{name}"][:] = pair
    told = failures(drawn)
    assert any(sentence.startswith("data/AGBD Values is") for sentence in told)
    assert any(sentence.startswith("AGBD raster differs") for sentence in told)


def test_a_window_that_lies_a_pixel_off_is_found(drawn: Drawn):
    with h5py.File(drawn.file, "r+") as file:
        file["data/Transforms"][drawn.index, 2] += 10
    told = failures(drawn)
    assert any("not in pixel [16, 16]" in sentence for sentence in told)
    assert any(sentence.startswith("Sentinel-2 B04 differs") for sentence in told)


def test_a_less_cloudy_product_that_was_passed_over_is_found(drawn: Drawn):
    with h5py.File(drawn.file) as file:
        item = file["provenance/Sentinel-2 Item"][drawn.index, 0].decode()
    for path in (drawn.folder / "stages" / "items").rglob("sentinel2_*.json"):
        document = json.loads(path.read_text())
        for found in [found for found in document["items"] if found["id"] == item]:
            changed = json.loads(json.dumps(found))
            changed["id"] = "less-cloudy"
            changed["properties"]["eo:cloud_cover"] = found["properties"]["eo:cloud_cover"] / 2
            changed["properties"]["datetime"] = (
                changed["properties"]["datetime"].replace("T", "T0").replace("T0", "T", 1)
            )
            taken = changed["properties"]["datetime"]
            changed["properties"]["datetime"] = f"{taken[:11]}{(int(taken[11:13]) + 1) % 24:02d}{taken[13:]}"
            document["items"].append(changed)
        path.write_text(json.dumps(document))
    assert any("holds the window too" in sentence for sentence in failures(drawn))


def test_the_command_names_the_sample_and_ends_with_1(drawn: Drawn):
    with h5py.File(drawn.file, "r+") as file:
        file["data/Sentinel-2 L2A"][drawn.index, 2] = np.uint16(7)
    done = CliRunner().invoke(
        cli, ["verify", str(drawn.folder), "--samples", "1", "--seed", str(SEED)], catch_exceptions=False
    )
    assert done.exit_code == 1
    assert f"FAIL  {drawn.name}" in done.output
    assert "Sentinel-2 B03 differs in 1024 of 1024 pixels" in done.output
    assert "1 of 6 samples verified; 1 of them failed" in done.output


def test_an_original_that_is_gone_is_no_agreement(drawn: Drawn):
    for path in (drawn.folder / "stages" / "items").rglob("worldcover_*.json"):
        document = json.loads(path.read_text())
        for item in document["items"]:
            for asset in item["assets"].values():
                asset["href"] += ".gone.tif"
        path.write_text(json.dumps(document))
    (result,) = verify_build(drawn.folder, samples=1, seed=SEED).results
    assert not result.passed
    assert any(".gone.tif can't be read" in sentence for sentence in result.unreadable)


def test_a_folder_that_is_no_build_is_refused(tmp_path: Path):
    assert not is_build_output(tmp_path)
    done = CliRunner().invoke(cli, ["verify", str(tmp_path)])
    assert done.exit_code == 2
    assert "contains neither the output of a build nor an export" in done.output
