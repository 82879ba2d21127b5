"""Every item and every image is taken once."""

import polars as pl

from factory_pipeline.datasets.versions.item_ground import GROUND
from factory_pipeline.datasets.versions.select_items import CHOSEN, unite

KNOWN = {name: dtype for name, dtype in CHOSEN.items() if name not in GROUND}
NOWHERE = [pl.lit(None, dtype).alias(name) for name, dtype in GROUND.items()]


def chosen(*rows: tuple[int, str, str, str]) -> pl.DataFrame:
    """Items by the turn of their collection, its id, their own and their content; those of turn -1 are of the
    source version."""
    return pl.DataFrame(
        [
            (
                order,
                collection,
                item,
                content,
                order >= 0,
                None if order >= 0 else item,
                None if order >= 0 else "test",
                None,
            )
            for order, collection, item, content in rows
        ],
        schema=KNOWN,
        orient="row",
    ).with_columns(NOWHERE)


def shown(rows: pl.DataFrame) -> dict[tuple[str, str], tuple[str, str]]:
    """The item that stands for each chosen one."""
    members = unite(rows).members
    return {
        (row["collection"], row["id"]): (row["as_collection"], row["as_id"])
        for row in members.iter_rows(named=True)
    }


def test_an_image_is_shown_by_the_item_of_the_first_collection_of_the_same_id_if_there_is_one() -> None:
    rows = chosen((1, "B", "b", "x"), (1, "B", "a2", "x"), (0, "A", "a1", "x"), (0, "A", "a2", "x"))
    assert shown(rows) == {
        ("A", "a1"): ("A", "a1"),
        ("A", "a2"): ("A", "a2"),
        ("B", "a2"): ("A", "a2"),
        ("B", "b"): ("A", "a1"),
    }
    assert sorted(unite(rows).items["id"]) == ["a1", "a2"]


def test_the_source_version_comes_before_all_collections() -> None:
    rows = chosen((0, "A", "a", "x"), (-1, "B", "b", "x"), (1, "C", "c", "y"))
    assert shown(rows) == {("A", "a"): ("B", "b"), ("B", "b"): ("B", "b"), ("C", "c"): ("C", "c")}
    kept = unite(rows).items.sort("id").select("id", "name", "split").rows()
    assert kept == [("b", "b", "test"), ("c", None, None)]


def test_an_item_that_is_chosen_again_is_new_and_keeps_its_split() -> None:
    united = unite(chosen((-1, "A", "a", "x"), (0, "A", "a", "x")))
    assert united.items.select("id", "split").rows() == [("a", "test")]
    assert united.members["is_new"].to_list() == [True]
