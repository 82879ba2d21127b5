"""The page of a dataset: one file, made of the build's files alone, that says where every label went."""

import base64
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from factory_pipeline.builds.dataset_page import EXAMPLES, SHEET_BYTES, write_dataset_page
from factory_pipeline.builds.dataset_plan import plan_dataset
from factory_pipeline.builds.dataset_summary import DatasetBuildSummary
from factory_pipeline.builds.labels.label_table import REJECT_SCHEMA
from factory_pipeline.builds.recipe_split_record import record_splits
from factory_pipeline.config.dataset_settings import DatasetSettings
from factory_pipeline.hdf5.recipe_preview import recipe_sheet
from factory_pipeline_tests.builds.test_dataset_plan import settings, write
from factory_pipeline_tests.hdf5.recipe_factories import write_fused

LOST = [(f"p{number}", "dem", "no_scene", f"There is none, {number} < 9.") for number in range(5)]


def finish(
    build: DatasetSettings,
    samples: dict[str, int],
    lost: list[tuple[str, str, str, str]],
    labels: int | None = None,
) -> DatasetSettings:
    """Leave what a build leaves whose files are fused."""
    plan_dataset(build, "catalog")
    for number, (split, count) in enumerate(samples.items()):
        ids = [f"{split}-{row}" for row in range(count)]
        carried = pl.DataFrame({"crop": ["Rye"] * count}, schema={"crop": pl.String})
        write_fused(build.files.fused(split), build.recipe, ids, extra=carried, split=split, seed=number)
    pl.DataFrame(lost, schema=REJECT_SCHEMA, orient="row").write_parquet(build.files.rejects)
    reasons = [f"{stage}: {reason}" for _, stage, reason, _ in lost]
    record_splits(build.recipe, build.files).write(build.files.splits)
    DatasetBuildSummary(
        name=build.recipe.name,
        labels=sum(samples.values()) + len(lost) if labels is None else labels,
        dropped={reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
        samples=samples,
        batches=1,
        files={},
        items_unusable={},
        remarks=["The times have no zone."],
    ).save(build.files.summary)
    return build


def page_of(build: DatasetSettings) -> str:
    write_dataset_page(build)
    return build.files.page.read_text(encoding="utf-8")


def funnel_of(page: str) -> list[tuple[str, ...]]:
    """Name, number and share of each line of the funnel."""
    table = page.partition('aria-label="Labels by reason"')[2].partition("</table>")[0]
    return re.findall(r'<tr><td>([^<]*)</td><td class="n">([^<]*)</td><td class="n">([^<]*)</td></tr>', table)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, count=8)
    return tmp_path


def test_the_funnel_has_every_label(folder: Path) -> None:
    lost = [*LOST, ("nowhere", "labels", "no_place", "It has none.")]
    build = finish(settings(folder), {"train": 4, "test": 2}, lost)
    batches = len(plan_dataset(build, "catalog").keys)
    assert funnel_of(page_of(build)) == [
        ("Labels in", "12", "100.0 %"),
        ("dem: no_scene", "−5", "41.7 %"),
        ("labels: no_place", "−1", "8.3 %"),
        (f"Samples, in {batches} batches", "6", "50.0 %"),
    ]


def test_windows_that_are_more_than_the_labels_are_a_line_of_their_own(folder: Path) -> None:
    build = finish(settings(folder), {"train": 6, "test": 2}, LOST[:2], labels=3)
    lines = funnel_of(page_of(build))
    assert lines[:2] == [("Labels in", "3", "100.0 %"), ("Windows", "10", "100.0 %")]
    assert lines[2:][0] == ("dem: no_scene", "−2", "20.0 %")


def test_some_labels_of_each_reason_are_shown_as_text(folder: Path) -> None:
    page = page_of(finish(settings(folder), {"train": 4, "test": 2}, LOST))
    ledger = page.partition('id="ledger"')[2].partition("</section>")[0]
    assert "<b>dem: no_scene</b>" in ledger
    assert "5 labels" in ledger
    assert re.findall(r"<code>([^<]*)</code>", ledger) == [f"p{number}" for number in range(EXAMPLES)]
    assert "There is none, 0 &lt; 9." in ledger
    whole = page_of(finish(settings(folder), {"train": 4, "test": 2}, []))
    assert "Every label is a sample." in whole


def test_it_needs_no_network_and_names_no_folder(folder: Path) -> None:
    page = page_of(finish(settings(folder), {"train": 4, "test": 2}, LOST))
    assert re.findall(r'src="(?!data:)[^"]*"', page) == []
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert str(folder) not in page
    assert "path: a.csv" in page
    assert "The times have no zone." in page


def test_samples_and_statistics_are_of_the_first_split_that_has_some(folder: Path) -> None:
    build = finish(settings(folder), {"train": 0, "test": 3}, LOST)
    page = page_of(build)
    assert "Of 3 samples of test, over all dates" in page
    (sheet,) = re.findall(r'class="sheet" src="data:image/png;base64,([^"]*)"', page)
    assert base64.b64decode(sheet) == recipe_sheet(build.files.fused("test"), max_bytes=SHEET_BYTES)
    assert "<b>3</b> <span>100.0 %</span>" in page


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ({"required": False}, "; a sample may lack it."),
        ({"derive": ["slope"]}, "<td><b>slope</b></td><td>%</td>"),
    ],
)
def test_sources_are_told_as_the_recipe_has_them(folder: Path, source: dict[str, Any], shown: str) -> None:
    plain = {"collection": "cop-dem-glo-30", "assets": ["data"]}
    without = page_of(finish(settings(folder), {"train": 4, "test": 2}, LOST))
    build = settings(folder, sources={"dem": plain | source})
    page = page_of(finish(build, {"train": 4, "test": 2}, LOST))
    assert shown in page
    assert shown not in without


def test_the_same_files_give_the_same_page(folder: Path) -> None:
    build = finish(settings(folder), {"train": 4, "test": 2}, LOST)
    first = page_of(build)
    build.files.page.unlink()
    assert page_of(build) == first
