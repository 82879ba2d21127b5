"""What is said of the splits wherever a dataset is shown."""

from pathlib import Path

import polars as pl
import pytest

from factory_pipeline.onboarding.page.render import DatasetPage, Status, render_page
from factory_pipeline.onboarding.split_notes import SplitNotes, replacement_splits, split_notes
from factory_pipeline.splits.record import SplitRecord
from factory_pipeline_tests.onboarding.curated import Curated, items_frame, onboarded, square
from factory_pipeline_tests.onboarding.page.pages import UPDATED, page_of

SIDE = 100.0


def notes_of(rows: list[dict[str, object]], sides: str, is_trained: bool = True) -> SplitNotes:
    """The notes of images whose splits are told by a letter each."""
    items = items_frame(rows)
    words = {"a": "train", "t": "test", "v": "validation"}
    split = items.select("stem").with_columns(pl.Series("split", [words[side] for side in sides], pl.String))
    return split_notes(SplitRecord.of(items, split, {}, promises_zero=False), split, is_trained)


def test_pairs_are_counted_as_pairs() -> None:
    # Six images on one ground are 15 pairs; each of the two held out leaks, and 9 pairs are apart.
    notes = notes_of([square(0, 0, SIDE)] * 6, "aaaatv")
    assert notes.leaks
    assert "9 of 15 pairs of overlapping or identical images are in different splits" in notes.found
    assert "100.0% of the test and validation images" in notes.found


def test_images_without_place_are_not_said_to_be_free_of_leaks() -> None:
    notes = notes_of([{}] * 5, "aaatv")
    assert not notes.leaks
    assert notes.found == "No two files are identical."
    assert notes.limits[0] == "Not checked: overlap, as no image is georeferenced."
    assert "re-encoded, shifted" in notes.limits[-1]
    some = notes_of([{}, {}, square(0, 0, SIDE), square(5000, 0, SIDE), {}], "aaatv")
    assert "Not checked: overlap of 3 of 5 images, which are not georeferenced." in some.limits


def test_tiles_that_touch_count_as_apart_and_that_is_said() -> None:
    notes = notes_of([square(number * SIDE, 0, SIDE) for number in range(5)], "aaatv")
    assert notes.found == "No two images overlap, and no two files are identical."
    assert any("touch" in sentence and "count as separate" in sentence for sentence in notes.limits)


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        ("aat", [("validation", "test")]),
        ("aav", [("test", "validation")]),
        ("aa", [("validation", "training"), ("test", "training")]),
        ("aatv", []),
    ],
)
def test_what_is_reused_for_an_empty_split_is_said(sides: str, said: list[tuple[str, str]]) -> None:
    notes = notes_of([{}] * len(sides), sides)
    assert len(notes.reused) == len(said)
    for sentence, (empty, other) in zip(notes.reused, said, strict=True):
        assert sentence.startswith(f"The {empty} split is empty: terratorch.yaml uses the {other} images")
    assert all("terratorch" not in sentence for sentence in notes_of([{}] * len(sides), sides, False).reused)


def test_a_training_needs_all_splits() -> None:
    assert replacement_splits({"train", "test", "validation"}) == {}
    assert replacement_splits({"train", "validation"}) == {"test": "validation"}


@pytest.mark.integration
def test_the_page_says_what_was_not_checked_and_never_that_nothing_can_leak(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 3)
    text = render_page(page_of(curated))
    assert "no split can leak" not in text
    assert "note good" not in text
    assert "Not checked: whether other files show the same" in text
    assert "The validation split is empty: terratorch.yaml uses the test images instead" in text


@pytest.mark.integration
def test_the_page_counts_pairs(tmp_path: Path) -> None:
    curated = onboarded(tmp_path, 6)
    same = pl.lit(pl.Series([curated.items["transform"][0].to_list()])).first()
    items = curated.items.with_columns(transform=same)
    page = page_of(Curated(curated.root, curated.manifest, items))
    assert isinstance(page, DatasetPage)
    assert page.status is Status.SUCCEEDED
    assert page.updated == UPDATED
    assert page.record is not None
    assert page.record.leaks.pairs == 15
    assert f"{page.record.leaks.crossing_pairs} of 15 pairs" in render_page(page)
    assert page.record.leaks.crossing_pairs <= 15 < page.record.leaks.crossing.height + 10
