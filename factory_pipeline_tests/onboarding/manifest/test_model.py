import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from factory_pipeline.errors import OnboardingError
from factory_pipeline.onboarding.manifest.model import Purpose, UploadManifest
from factory_pipeline.splits.split_rule import GivenSplit, Percentages, RandomSplit, SpatialSplit
from factory_pipeline.storage.slug import slug
from factory_pipeline_tests.project import DOCS

LABELS = [
    {"id": 0, "name": "Land", "color": "#c8b27d", "opacity": 0.5},
    {"id": 1, "name": "Water", "color": "blue", "weight": 2.5},
]
MANIFEST: dict[str, Any] = {
    "type_of_upload": "Dataset & Labels",
    "purpose": "Segmentation",
    "dataset_url": "https://example.org/floods.zip",
    "training_data_suffixes": ["_merged.tif"],
    "label_suffix": "_mask.tif",
    "dataset_name": "Sen1Floods11",
    "description": "Floods seen from space",
    "data_sources": [
        {
            "bands": [
                {"index": "0", "band_name": "Blue", "RGB_band": "B", "scaling_factor": "0.0001"},
                {"index": "1", "band_name": "NIR", "RGB_band": "", "description": "near infrared"},
            ],
            "connector": "sentinelhub",
            "collection": "hls_l30",
            "modality_tag": "HLS_L30",
            "file_suffix": "_merged.tif",
        }
    ],
    "label_categories": LABELS,
}


def parse(**changes: Any) -> UploadManifest:
    return UploadManifest.parse({**MANIFEST, **changes}, "floods.yaml")


def message(**changes: Any) -> str:
    with pytest.raises(OnboardingError) as refused:
        parse(**changes)
    assert refused.value.code == "MANIFEST_INVALID"
    return str(refused.value)


def test_the_fields_of_the_form_are_read() -> None:
    manifest = parse()
    (source,) = manifest.data_sources
    assert manifest.purpose is Purpose.SEGMENTATION
    assert [band.rgb_band for band in source.bands] == ["B", None]
    assert source.bands[0].scaling_factor == 0.0001
    assert manifest.modalities == {"_merged.tif": "HLS_L30"}
    assert [category.color for category in manifest.label_categories] == ["#c8b27d", "#0000ff"]
    assert manifest.splits == RandomSplit()
    assert manifest.splits.percentages.model_dump() == {"train": 60, "test": 20, "validation": 20}


@pytest.mark.parametrize(
    ("typed", "field", "value"),
    [
        ({"Purpose": "semantic segmentation"}, "purpose", Purpose.SEGMENTATION),
        ({"purpose": "REGRESSION"}, "purpose", Purpose.REGRESSION),
        ({"type_of_upload": "dataset and labels"}, "type_of_upload", "Dataset & Labels"),
        ({"training-data suffixes": "_merged.tif"}, "training_data_suffixes", ("_merged.tif",)),
        ({"training_data_suffix": "*_merged.tif"}, "training_data_suffixes", ("_merged.tif",)),
        ({"Label Suffix": " _mask.tif "}, "label_suffix", "_mask.tif"),
        ({"to_cog": "yes"}, "to_cog", True),
        ({"ignore index": "-1"}, "label_nodata", -1),
        ({"description": None}, "description", ""),
    ],
)
def test_spellings_that_users_type(typed: dict[str, Any], field: str, value: Any) -> None:
    fields = {key: given for key, given in MANIFEST.items() if key != field}
    assert getattr(UploadManifest.parse({**fields, **typed}, "floods.yaml"), field) == value


def test_several_suffixes_may_be_parted_by_commas() -> None:
    manifest = parse(training_data_suffixes="_s1.tif, _s2.tif", data_sources=None)
    assert manifest.modalities == {"_s1.tif": "image1", "_s2.tif": "image2"}


def test_bands_may_be_given_by_name_alone() -> None:
    manifest = parse(data_sources=[{"bands": "B02, B03"}])
    assert [(band.index, band.band_name) for band in manifest.data_sources[0].bands] == [
        (0, "B02"),
        (1, "B03"),
    ]


MOST = Percentages(train=75, test=0, validation=25)


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ("random", RandomSplit()),
        ({"train": 0.7, "val": 0.1, "test": 0.2}, {"train": 70, "test": 20, "validation": 10}),
        (
            {"train": "80 %", "test": 10, "validation": 10, "seed": 7},
            {"train": 80, "test": 10, "validation": 10},
        ),
        ({"method": "random", "percentages": "50/25/25"}, {"train": 50, "test": 25, "validation": 25}),
        ({"train": ["a", "b"], "test": "c"}, GivenSplit(train=("a", "b"), test=("c",))),
        ({"train_file": "train.txt"}, GivenSplit(train_file="train.txt")),
        ({"test_file": "a.txt", "train": 0.75, "val": 0.25}, GivenSplit(test_file="a.txt", percentages=MOST)),
        (
            {"test": ["a"], "percentages": {"train": 75, "validation": 25}},
            GivenSplit(test=("a",), percentages=MOST),
        ),
        ({"train": 100}, {"train": 100, "test": 0, "validation": 0}),
        ("MGRS", SpatialSplit(by="mgrs")),
        ({"method": "spatial", "by": "overlap", "buffer": 500}, SpatialSplit(by="overlap", buffer_m=500)),
        ({"by": "blocks", "block_size": 2000}, SpatialSplit(block_m=2000)),
    ],
)
def test_split_rules(typed: Any, rule: Any) -> None:
    found = parse(splits=typed).splits
    if isinstance(rule, dict):
        assert isinstance(found, RandomSplit)
        assert found.percentages.model_dump() == rule
    else:
        assert found == rule


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"purpose": "Detection"}, ["purpose", "'Detection'", "Segmentation", "Regression"]),
        ({"label_sufix": "x"}, ["label_sufix", "did you mean label_suffix?"]),
        ({"training_data_suffixes": []}, ["training_data_suffixes"]),
        ({"label_suffix": "_merged.tif"}, ["label_suffix", "_merged.tif", "different suffixes"]),
        ({"label_suffix": "masks/x.tif"}, ["label_suffix", "masks/x.tif", "slashes"]),
        ({"label_categories": LABELS[:1]}, ["label_categories", "at least two"]),
        ({"label_categories": [LABELS[0], {**LABELS[1], "id": 0}]}, ["id 0 2 times"]),
        ({"label_categories": [{**LABELS[0], "color": None}, LABELS[1]]}, ["color", "quotes"]),
        (
            {"label_categories": [{**LABELS[0], "color": "blueish"}, LABELS[1]]},
            ["color", "'blueish'", "#rrggbb"],
        ),
        ({"label_categories": [{**LABELS[0], "opacity": 2}, LABELS[1]]}, ["label_categories.0.opacity", "1"]),
        ({"data_sources": [{"bands": ["a", "a"]}]}, ["band_name 'a' 2 times"]),
        ({"data_sources": [{"file_suffix": "_x.tif"}]}, ["file_suffix '_x.tif'", "_merged.tif"]),
        ({"data_sources": [{"modality_tag": "a/b"}]}, ["modality_tag", "'a/b'", "letters"]),
        ({"splits": {"train": 50, "test": 10}}, ["splits", "80 percent"]),
        ({"splits": {"train": ["a"], "test": ["a"]}}, ["splits", "a is in more than one split"]),
        ({"splits": "sorted"}, ["splits", "random, given and spatial"]),
        ({"splits": {"by": "country"}}, ["splits.by", "'country'", "block"]),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(changes: dict[str, Any], named: list[str]) -> None:
    said = message(**changes)
    assert said.startswith("The manifest floods.yaml ")
    assert "\n" not in said
    for part in named:
        assert part in said


def test_a_missing_field_is_named() -> None:
    without = {key: value for key, value in MANIFEST.items() if key != "dataset_url"}
    with pytest.raises(OnboardingError, match=r"floods.yaml lacks dataset_url"):
        UploadManifest.parse(without, "floods.yaml")


def test_a_key_that_is_misspelt_is_told_before_the_one_that_is_missing() -> None:
    misspelt = {("dataset_urll" if key == "dataset_url" else key): value for key, value in MANIFEST.items()}
    with pytest.raises(OnboardingError, match=r"has the key dataset_urll, .*did you mean dataset_url\?"):
        UploadManifest.parse(misspelt, "floods.yaml")


def test_a_signed_address_may_be_long() -> None:
    address = f"https://example.org/a.zip?signature={'s' * 3000}"
    assert UploadManifest.parse({**MANIFEST, "dataset_url": address}, "floods.yaml").dataset_url == address


def test_credentials_are_refused_and_not_shown() -> None:
    said = message(dataset_url="https://me:secret@example.org/a.zip")
    assert "secret" not in said


def test_a_file_is_named_after_itself_where_it_gives_no_name(tmp_path: Path) -> None:
    path = tmp_path / "Burn scars.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in MANIFEST.items() if key != "dataset_name"}))
    assert UploadManifest.load(path).dataset_name == "Burn scars"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("floods.zip", "{folder}/floods.zip"),
        ("{folder}/more/floods.zip", "{folder}/more/floods.zip"),
        ("https://example.org/floods.zip", "https://example.org/floods.zip"),
        ("file:///data/floods.zip", "file:///data/floods.zip"),
    ],
)
def test_a_path_starts_at_the_folder_of_the_manifest(tmp_path: Path, given: str, read: str) -> None:
    path = tmp_path / "floods.yaml"
    path.write_text(yaml.safe_dump({**MANIFEST, "dataset_url": given.format(folder=tmp_path)}))
    assert UploadManifest.load(path).dataset_url == read.format(folder=tmp_path)


@pytest.mark.parametrize(
    "text", ["", "just text", "a: [", "- a\n- b", "a: !!python/object:os.system x", "\0"]
)
def test_files_that_are_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / "floods.yaml"
    path.write_text(text)
    with pytest.raises(OnboardingError, match=r"floods\.yaml") as told:
        UploadManifest.load(path)
    assert "<unicode string>" not in str(told.value)


def test_the_key_follows_from_content_alone() -> None:
    key = parse().key("archive-1")
    assert key.startswith("sen1floods11@")
    assert len(key.partition("@")[2]) == 8
    assert parse(purpose="segmentation").key("archive-1") == key
    assert parse(dataset_url="https://example.com/elsewhere.zip?sig=secret").key("archive-1") == key
    assert parse(description="other").key("archive-1") != key
    assert parse().key("archive-2") != key


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Burn Scars (v2)", "burn-scars-v2"),
        ("rivers", "rivers"),
        ("  A_b.c–d  ", "a-b-c-d"),
        ("x" * 60, "x" * 60),
    ],
)
def test_slugs_of_names_in_ascii_are_their_words(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_slugs_never_collide_by_losing_letters() -> None:
    names = [
        "数据", "数据集", "森林", "Forest 森林", "Forest", "🌲", "🌳", "Bürn Scars (v2)",
        "Burn Scars (v2)", "ßa", "ssa", "x²", "x2", "ﬁeld", "field",
        "!!!", "???", "Øre", "re", "x" * 61, "x" * 62, "x" * 60,
    ]  # fmt: skip
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names), slugs
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", made) and len(made) <= 60 for made in slugs)
    assert slug("Bürn Scars (v2)").startswith("burn-scars-v2-")


def test_a_name_has_one_slug_however_its_accents_are_coded() -> None:
    assert slug("Forêt") == slug("Fore\u0302t") == slug("FORÊT ")


def test_the_manifest_of_the_docs_is_accepted():
    page = (DOCS / "onboarding.md").read_text()
    shown = page.split("```yaml manifest\n")[1].split("```")[0]
    manifest = UploadManifest.parse(yaml.safe_load(shown), where="docs")
    assert [category.name for category in manifest.label_categories] == ["Land", "Water"]


def test_what_was_added_to_splits_later_does_not_rename_older_uploads() -> None:
    plain, asked = parse(splits={}), parse(splits={"require_all_labels": True})
    assert "require_all_labels" not in plain.canonical_json()
    assert plain.key("a") == parse(splits={"require_all_labels": False}).key("a") != asked.key("a")
