"""What differs between two versions, and deleting them."""

from factory_pipeline.datalake.registry.records import Version
from factory_pipeline.datasets.versions.compare import compare_versions
from factory_pipeline.datasets.versions.create import create_version
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, request


def made(lake: MadeLake, **asked: object) -> Version:
    return create_version(lake.registry, lake.home, request(**asked))


def all_but(item: str) -> dict[str, object]:
    return {"op": "<>", "args": [{"property": "id"}, item]}


def test_a_comparison_tells_what_was_added_and_annotated_anew(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1, "b": 2, "c": 3})
    lake.annotate(collection, [box("a", "Balloon"), box("b", "Balloon")])
    before = made(lake, query=all_but("c"))
    rows = [box("a", "Balloon", 3), box("a", "Cloud"), box("c", "Cloud")]
    later = lake.annotate(collection, rows, "machine")
    after = made(
        lake,
        dataset_version_id=before.id,
        labels=("Balloon", "Cloud"),
        operation_list=(later.id,),
        query=all_but("b"),
    )
    told = compare_versions(lake.home, before, after)
    assert (told.added, told.removed, told.moved) == (("c",), (), ())
    assert (told.reannotated, told.annotations_added, told.annotations_removed) == (("a",), 2, 1)
    assert (told.labels_added, told.labels_removed) == (("Cloud",), ())
    assert str(told).splitlines() == [
        "1.0.0 -> 1.0.1",
        "Items added:        1 (c)",
        "Items re-annotated: 1 (a)",
        "Annotations:        2 added, 1 removed",
        "Labels added:       Cloud",
    ]


def test_items_of_two_datasets_are_the_same_if_their_images_are(lake: MadeLake) -> None:
    first, second = lake.add("first", {"a": 1, "b": 2}), lake.add("second", {"x": 1, "y": 3})
    for collection, item in ((first, "a"), (second, "x")):
        lake.annotate(collection, [box(item, "Balloon")])
    one = made(lake, dataset_name="one", collection_id=first.id)
    all_test = {"train": 0, "test": 100, "validation": 0}
    other = made(lake, dataset_name="other", collection_id=second.id, split_info=all_test)
    told = compare_versions(lake.home, one, other)
    assert (told.added, told.removed, told.moved) == (("y",), ("b",), (("x", "train", "test"),))
    assert told.reannotated == ()
    assert "Items moved:        1 train -> test" in str(told)


def test_versions_of_the_same_content_are_told_so(lake: MadeLake) -> None:
    collection = lake.add("fair", {"a": 1})
    lake.annotate(collection, [box("a", "Balloon")])
    before = made(lake)
    after = made(lake, dataset_version_id=before.id)
    assert str(compare_versions(lake.home, before, after)) == "1.0.0 -> 1.0.1: the same content"
