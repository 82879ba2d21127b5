"""The builds page shows where the footprints of a build went."""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from factory_pipeline.builds.chips.rejected_chip import RejectedChip
from factory_pipeline.builds.dataset_summary import DatasetBuildSummary
from factory_pipeline.builds.gedi.batches import BatchPlan, PlanFacts
from factory_pipeline.builds.gedi_splits import split_record
from factory_pipeline.builds.reject_ledger import reject_frame
from factory_pipeline.builds.summary import BuildSummary
from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.dataset_recipe import DatasetRecipe
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.config.recipe import Recipe
from factory_pipeline.hdf5.write import write_dataset
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio import builds_page
from factory_pipeline.web.studio.builds_page import funnel
from factory_pipeline.web.studio.context import Studio
from factory_pipeline_tests.hdf5.factories import made_samples, part_of
from factory_pipeline_tests.web.studio.visitor import Visitor, text_of

SUMMARY = BuildSummary(
    granules=2,
    granules_set_aside={},
    footprints_in=1000,
    dropped={"quality: surface_flag": 400, "quality: none": 0, "sentinel2: cloud": 100},
    planned=600,
    plan="abc",
    batches=3,
    samples={"train": 300, "test": 200},
    files={},
)


def forge_build(home: FactoryHome, folder: Path) -> None:
    """Write the files of a finished build that the page reads."""
    settings = BuildSettings(granules=str(folder), output=folder / "out", catalog=str(folder / "catalog"))
    settings.save(home)
    files = settings.files
    files.rejects.parent.mkdir(parents=True, exist_ok=True)
    SUMMARY.save(files.summary)
    parts = [
        reject_frame([1, 2, 3, 4, 5], "sentinel2", "cloud", "S2A_<b>: cloud covers 40 %."),
        reject_frame([6], "sentinel2", "no_product", "No product."),
        reject_frame([100, 101], "quality", "surface_flag", "surface_flag is 0"),
    ]
    pl.concat(parts).write_parquet(files.rejects)
    shots = list(range(1, 13))
    planned = pl.DataFrame(
        {
            "shot_number": shots,
            "delta_time": [86_400.0 * (1000 + shot // 5) for shot in shots],
            "lat_lowestmode": [48 + shot / 10 for shot in shots],
            "lon_lowestmode": [15 + shot % 3 / 10 for shot in shots],
            "split": ["train"] * 8 + ["test"] * 4,
            "batch": ["train-00000-aaaaaaaa"] * 8 + ["test-00000-bbbbbbbb"] * 4,
            "position": [*range(8), *range(4)],
        }
    )
    BatchPlan(PlanFacts(("train", "test")), planned).save(files.batch_plan)


def test_a_home_without_a_build_says_how_to_begin(visitor: Visitor) -> None:
    assert "No build yet" in visitor.page("/builds")


def test_a_build_that_has_begun_and_one_that_has_ended(
    studio: Studio, visitor: Visitor, tmp_path: Path
) -> None:
    settings = BuildSettings(granules=str(tmp_path), output=tmp_path / "out")
    settings.save(studio.home)
    assert "0 of 0 batches finished" in text_of(visitor.page("/builds"))
    assert "gedi-agbd Onboarding Build" in text_of(visitor.page("/"))
    SUMMARY.save(settings.files.summary)
    told = text_of(visitor.page("/builds"))
    assert "Footprints in 1,000 100.0 %" in told
    assert "quality: surface_flag −400 40.0 %" in told
    assert "Accepted 500 50.0 %" in told
    assert "300 train · 200 test" in text_of(visitor.page("/?kind=Build"))
    studio.home.build_file.write_text("granules: [")
    assert "not YAML" in visitor.page("/builds")
    assert "not YAML" in visitor.page("/")


def test_a_finished_build_shows_its_splits_with_blocks_and_what_leaks(
    studio: Studio, visitor: Visitor, tmp_path: Path
) -> None:
    recipe = Recipe.parse({"split": {"space": "blocks", "block_m": 50_000}}, "r")
    settings = BuildSettings(granules=str(tmp_path), output=tmp_path / "out", recipe=recipe)
    settings.save(studio.home)
    files = settings.files
    files.root.mkdir()
    samples = made_samples(10)
    write_dataset(files.fused("train"), part_of(samples, 0, 6), recipe, "train")
    write_dataset(files.fused("test"), part_of(samples, 6, 10), recipe, "test")
    SUMMARY.save(files.summary)
    record = split_record(recipe, files)
    record.write(files.splits)
    page = visitor.page("/builds")
    assert record.found in text_of(page)
    assert 'class="footprint train"' in page
    assert 'class="footprint test"' in page
    assert re.search(r"Outlined: \d+ blocks of the split", page)


def test_recipes_are_listed_with_the_page_of_their_dataset(
    studio: Studio, visitor: Visitor, tmp_path: Path
) -> None:
    recipe = DatasetRecipe.parse(
        {
            "name": "sites",
            "labels": {"kind": "points", "path": "sites.csv"},
            "window": {"size": 8, "pixel_size": 10},
            "sources": {"dem": {"collection": "cop-dem-glo-30", "assets": ["data"]}},
        },
        "of the test",
    )
    settings = DatasetSettings(recipe=recipe, output=tmp_path / "sites")
    settings.save(studio.home)
    assert "sites building" in text_of(visitor.page("/builds"))
    visitor.page("/builds/recipes/sites", 404)
    DatasetBuildSummary("sites", 3, {}, {"train": 2, "test": 1}, 2, {}, {}, []).save(settings.files.summary)
    settings.files.page.write_text("<body><h1>the page</h1></body>")
    assert "sites 3 samples" in text_of(visitor.page("/builds"))
    served = visitor.get("/builds/recipes/sites")
    assert re.findall(r'href="([^"]+)"', served.text) == ["/", "/builds"]  # the way back
    assert "the page" in served.text
    assert served.headers["Content-Security-Policy"].startswith("sandbox")
    visitor.page("/builds/recipes/..%2fsites", 404)


def test_rejects_are_shown_by_reason_with_the_chips_of_some(
    studio: Studio, visitor: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge_build(studio.home, tmp_path)
    page = visitor.page("/builds")
    assert "sentinel2: cloud 5 footprints" in text_of(page)
    assert "S2A_<b>: cloud covers 40 %." in text_of(page)
    assert page.count('<path class="footprint ') == 2, "a batch each"
    assert "test-00000-bbbbbbbb: missing (test)" in page
    assert "Footprints by day: Drawn 12, Accepted 6" in page
    assert re.findall(r'src="/builds/rejected/(\d+)\.webp"', page) == ["1", "2", "3"]

    def read(_settings: BuildSettings, shot: int) -> RejectedChip | None:
        asked.append(shot)
        counts = np.full((3, 8, 8), 2000, np.uint16)
        counts[:, :4] = 60_000
        return RejectedChip("S2A", counts) if shot != 2 else None

    asked: list[int] = []
    monkeypatch.setattr(builds_page, "read_rejected_chip", read)
    for _ in range(2):
        with Image.open(BytesIO(visitor.get("/builds/rejected/1.webp").content)) as drawn:
            pixels = np.asarray(drawn.convert("L"))
        assert drawn.size == (builds_page.CHIP_SIDE, builds_page.CHIP_SIDE)
        assert pixels[10, 10] > 250, "a cloud is white"
        assert 100 < pixels[-10, 10] < 200
    assert asked == [1], "it is read once"
    for shot in (2, 9):
        assert visitor.get(f"/builds/rejected/{shot}.webp").status_code == 404
    assert asked == [1, 2], "nothing is read for what was not rejected"


def test_the_funnel_leaves_out_what_dropped_nothing() -> None:
    rows = funnel(SUMMARY)
    assert [row.name for row in rows] == [
        "Footprints in",
        "quality: surface_flag",
        "sentinel2: cloud",
        "Accepted",
    ]
    assert [row.is_loss for row in rows] == [False, True, True, False]
