"""Folders that tell images from labels, and folders that give the splits."""

from collections.abc import Mapping

import polars as pl
import pytest

from factory_pipeline.onboarding.checks.file_roles import IMAGE, LABEL, Suffixes, canonical_suffix
from factory_pipeline.onboarding.file_names import safe_suffix
from factory_pipeline.splits.split_rule import GivenSplit
from factory_pipeline_tests.onboarding.factory import Bench
from factory_pipeline_tests.onboarding.manifest.test_model import parse
from factory_pipeline_tests.onboarding.uploads import pairs


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("_image.tif", "_image.tif"),
        ("*_image.tif", "_image.tif"),
        ("images/*.tif", "images/*.tif"),
        ("./**/images/**/*_a.tif", "images/*_a.tif"),
        ("*/masks/*.png", "masks/*.png"),
        ("gtFine/labels/*.png", "gtFine/labels/*.png"),
        ("caf\u0065\u0301/*.tif", "café/*.tif"),
    ],
)
def test_suffixes_with_folders_as_they_are_typed(typed: str, meant: str) -> None:
    assert canonical_suffix(typed) == meant
    assert parse(label_suffix=typed).label_suffix == meant
    assert Suffixes((".x",), typed).label == meant


@pytest.mark.parametrize(
    ("suffixes", "roles"),
    [
        (
            Suffixes(("images/*.tif",), "masks/*.tif"),
            {
                "images/x.tif": (IMAGE, "x"),
                "masks/x.tif": (LABEL, "x"),
                "d/train/images/x.tif": (IMAGE, "d/train/x"),
                "d/masks/test/x.tif": (LABEL, "d/test/x"),
                "images/masks/x.tif": (LABEL, "images/x"),
                "notimages/x.tif": None,
                "x.tif": None,
            },
        ),
        (Suffixes((".tif",), "masks/*.tif"), {"x.tif": (IMAGE, "x"), "masks/x.tif": (LABEL, "x")}),
        (
            Suffixes(("images/*.tif",), "_mask.tif"),
            {"images/x.tif": (IMAGE, "x"), "images/x_mask.tif": (LABEL, "x")},
        ),
        (
            Suffixes(("_i.tif",), "_m.tif", ("train", "test")),
            {
                "train/a/x_i.tif": (IMAGE, "train/x"),
                "test/x_m.tif": (LABEL, "test/x"),
                "x_i.tif": (IMAGE, "x"),
            },
        ),
    ],
)
def test_roles_and_stems(suffixes: Suffixes, roles: Mapping[str, tuple[str, str] | None]) -> None:
    for name, expected in roles.items():
        role = suffixes.role_of(name)
        assert (role and (role.role, role.stem)) == expected, name


def test_a_folder_becomes_part_of_the_suffix_in_the_dataset() -> None:
    assert safe_suffix("images/*.tif") == "_images.tif"
    assert safe_suffix("a b/c/*_x.y.tif") == "_a_b_c_x_y.tif"


def test_words_and_keys_of_splits_by_folders() -> None:
    rule = parse(splits="folders").splits
    assert isinstance(rule, GivenSplit)
    assert rule.folders["validation"] == ("val", "valid", "validation")
    rule = parse(splits={"train_folder": "a", "val_folder": ["b", "c"]}).splits
    assert isinstance(rule, GivenSplit)
    assert rule.folders == {"train": ("a",), "validation": ("b", "c")}


def in_folders(image: str, label: str) -> dict[str, bytes]:
    """Six pairs in train/, two each in test/ and val/, named 0, 1, ... in each of them."""
    good, files = pairs(10), {}
    places = [("train", n) for n in range(6)] + [(split, n) for split in ("test", "val") for n in range(2)]
    for number, (split, name) in enumerate(places):
        files[image.format(split=split, name=name)] = good[f"images/tile_{number}_merged.tif"]
        files[label.format(split=split, name=name)] = good[f"labels/tile_{number}_mask.tif"]
    return files


LAYOUTS = {
    "images/{split}/{name}.tif": ("masks/{split}/{name}.tif", "images/*.tif", "masks/*.tif"),
    "data/{split}/images/{name}.tif": ("data/{split}/masks/{name}.tif", "images/*.tif", "masks/*.tif"),
    "{split}/{name}_i.tif": ("{split}/{name}_m.tif", "_i.tif", "_m.tif"),
}


@pytest.mark.parametrize("image", LAYOUTS)
def test_equal_names_in_folders_of_splits_are_onboarded(bench: Bench, image: str) -> None:
    label, image_suffix, label_suffix = LAYOUTS[image]
    key = bench.prepare(
        "rivers",
        in_folders(image, label),
        training_data_suffixes=[image_suffix],
        label_suffix=label_suffix,
        splits="folders",
    )
    files = bench.home.upload(key).finished
    items = pl.read_parquet(files.items)
    assert dict(items.group_by("split").len().iter_rows()) == {"train": 6, "test": 2, "validation": 2}
    for name, split in items.select("original_name", "split").iter_rows():
        assert f"{split.removesuffix('idation')}/" in name
    assert all((files.root / path).is_file() for path in items["label_path"])


def test_a_folder_without_images_is_said(bench: Bench) -> None:
    splits = {"train_folder": "train", "test_folder": "tests"}
    key = bench.take_in(
        bench.drop(
            "rivers",
            in_folders("{split}/{name}_i.tif", "{split}/{name}_m.tif"),
            training_data_suffixes=["_i.tif"],
            label_suffix="_m.tif",
            splits={**splits, "validation_folder": "val"},
        )
    )
    assert not bench.run(key).success
    assert "test the folder tests; no image is in one" in str(bench.upload(key).reason)
