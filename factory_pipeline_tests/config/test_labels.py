"""The kinds of labels that a recipe may have."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from factory_pipeline.config.label_sources import GridLabels, PointLabels, PolygonLabels, RasterLabels
from factory_pipeline.config.labels import Labels

LABELS: TypeAdapter[Any] = TypeAdapter(Labels)
TARGET = {"column": "crop", "classes": {1: "Maize"}}
AREA = [10, 45, 11, 46]


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"kind": "points", "path": "a.csv", "target": TARGET}, PointLabels),
        ({"kind": "polygons", "path": "a.geojson", "target": TARGET}, PolygonLabels),
        ({"kind": "rasters", "path": "masks", "classes": {1: "Maize"}}, RasterLabels),
        ({"kind": "grid", "area": AREA}, GridLabels),
    ],
)
def test_the_kind_tells_how_labels_are_read(document: dict[str, Any], kind: type) -> None:
    labels = LABELS.validate_python(document)
    assert type(labels) is kind
    assert LABELS.validate_python(labels.model_dump()) == labels


def test_keys_of_another_kind_are_refused() -> None:
    with pytest.raises(ValidationError, match="all_touched"):
        LABELS.validate_python({"kind": "points", "path": "a.csv", "target": TARGET, "all_touched": True})
    with pytest.raises(ValidationError, match="min_share goes with windows: cover"):
        LABELS.validate_python({"kind": "polygons", "path": "a.csv", "target": TARGET, "min_share": 0.5})


def test_an_unknown_kind_is_answered_with_all_of_them() -> None:
    with pytest.raises(ValidationError, match="'points', 'polygons', 'rasters', 'grid', 'gedi'"):
        LABELS.validate_python({"kind": "lines", "path": "a.csv"})
