from itertools import permutations
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.archives.extract import extract
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.imagery.row_frames import frame_of
from factory_pipeline.onboarding.checks.file_contents import CONTENT_SCHEMA, scan_contents
from factory_pipeline.onboarding.checks.file_roles import Suffixes
from factory_pipeline.onboarding.file_names import arrange, dataset_index, safe_stem, safe_suffix
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.onboarding.uploads import geotiff, mask, written, zip_of

SUFFIXES = Suffixes(("_s1.tif", ".s2.tif"), "_mask.tif")
MODALITIES = {"_s1.tif": "S1", ".s2.tif": "S2"}


@settings(max_examples=up_to(50), deadline=None)
@given(
    st.lists(st.text(max_size=8), min_size=2, max_size=5, unique=True),
    st.sampled_from(["_x.tif", ".a.b.tif"]),
)
def test_no_stem_occurs_in_the_name_of_another_file(originals: list[str], suffix: str) -> None:
    stems = [safe_stem(original) for original in originals]
    assert len({len(stem) for stem in stems}) == 1
    assert not any("." in stem for stem in stems)
    for one, other in permutations(stems, 2):
        assert one not in other + safe_suffix(suffix)


def test_names_that_trap_matching_by_substring() -> None:
    stems = [safe_stem(name) for name in ("tile_1", "tile_10", "tile.1", "tile.10", "ile_1")]
    assert all(one not in other for one, other in permutations(stems, 2))


def test_a_suffix_keeps_its_extension_alone() -> None:
    assert safe_suffix("_merged.tif") == "_merged.tif"
    assert safe_suffix(".v1 final.img.tif") == "_v1_final_img.tif"


def unpacked(folder: Path) -> pl.DataFrame:
    files = {
        f"a/tile.{number}{suffix}": geotiff(left=number) for number in (1, 10) for suffix in SUFFIXES.images
    }
    files |= {f"b/tile.{number}_mask.tif": mask(number) for number in (1, 10)}
    extract(zip_of(folder / "a.zip", files), folder / "out", IntakePolicy())
    return frame_of(scan_contents(folder / "out", SUFFIXES, IntakePolicy()), CONTENT_SCHEMA)


def test_a_place_that_refuses_a_file_keeps_no_temporary_one(tmp_path: Path, monkeypatch) -> None:
    contents = unpacked(tmp_path)
    index = dataset_index(contents, MODALITIES, SUFFIXES.label)

    def refuse(*_: object) -> None:
        raise PermissionError("refused")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        arrange(tmp_path / "out", contents, index, MODALITIES, tmp_path / "dataset")
    assert not [path for path in (tmp_path / "dataset").rglob("*") if path.is_file()]


def test_the_index_keeps_the_names_and_the_files_get_their_places(tmp_path: Path) -> None:
    contents = unpacked(tmp_path)
    index = dataset_index(contents, MODALITIES, SUFFIXES.label)
    dataset = tmp_path / "dataset"
    arrange(tmp_path / "out", contents, index, MODALITIES, dataset)
    arrange(tmp_path / "out", contents, index, MODALITIES, dataset)

    one, ten = safe_stem("tile.1"), safe_stem("tile.10")
    assert index.select("stem", "original_name").rows() == [(one, "tile.1"), (ten, "tile.10")]
    assert index["images"][0].to_list() == [
        {"modality_tag": "S1", "path": f"training_data/S1/{one}_s1.tif"},
        {"modality_tag": "S2", "path": f"training_data/S2/{one}_s2.tif"},
    ]
    assert written(dataset) == {
        path
        for stem in (one, ten)
        for path in (
            f"training_data/S1/{stem}_s1.tif",
            f"training_data/S2/{stem}_s2.tif",
            f"labels/{stem}_mask.tif",
        )
    }
    for stem, number in ((one, 1), (ten, 10)):
        placed = (dataset / f"labels/{stem}_mask.tif").read_bytes()
        assert placed == (tmp_path / "out" / f"b/tile.{number}_mask.tif").read_bytes()


def test_stems_do_not_change_when_files_are_added(tmp_path: Path) -> None:
    contents = unpacked(tmp_path)
    alone = dataset_index(contents.filter(pl.col("stem") == "tile.10"), MODALITIES, SUFFIXES.label)
    both = dataset_index(contents, MODALITIES, SUFFIXES.label)
    assert both.filter(pl.col("original_name") == "tile.10").equals(alone)
