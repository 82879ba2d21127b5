"""The properties of queries."""

import pytest

from factory_pipeline.datalake.query.queryables import (
    ANNOTATION_KINDS,
    ITEM_KINDS,
    ValueKind,
    is_of_annotation,
    is_property,
    known_kind,
)


def test_every_named_property_has_a_kind_and_a_table():
    for name, kind in (ITEM_KINDS | ANNOTATION_KINDS).items():
        assert is_property(name)
        assert known_kind(name) is kind
        assert is_of_annotation(name) == (name in ANNOTATION_KINDS)


@pytest.mark.parametrize(
    ("name", "exists", "kind"),
    [
        ("metadata.height_m", True, None),
        ("annotation.attributes.roof", True, ValueKind.JSON),
        ("metadata.", False, None),
        ("annotation.attributes.", False, ValueKind.JSON),
        ("label", False, None),
    ],
)
def test_prefixes_need_a_name(name: str, exists: bool, kind: ValueKind | None):
    assert is_property(name) is exists
    assert known_kind(name) is kind
