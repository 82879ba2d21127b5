"""The examples of docs/collections.md do what the page says."""

import re
from pathlib import Path

import pytest

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datalake.ingest.factories import collection_of, picture, placed, rows_of, written
from factory_pipeline_tests.datalake.ingest.test_read_geojson import document, feature, in_degrees, square
from factory_pipeline_tests.project import DOCS

PAGE = DOCS / "collections.md"


def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = FactoryHome(tmp_path / "factory_home")
    monkeypatch.setenv("FACTORY_HOME", str(home.root))
    monkeypatch.chdir(tmp_path)
    registry = Registry.open(home.registry)
    collection_of(registry, home, picture("one"))
    collection = collection_of(registry, home, placed("a"), name="sample-land-cover")
    written(tmp_path / "fields.geojson", document(feature(in_degrees(square(1, 1, 5)))))
    annotate, read = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(annotate, {})
    (operation,) = registry.operations(collection.id)
    assert capsys.readouterr().out.strip() == operation.id
    assert [row["item"] for row in rows_of(operation, home)] == ["a"]
    found: dict[str, object] = {}
    exec(read, found)
    assert list(found["items"]["id"]) == ["a"]  # type: ignore[index]
