import ast
from pathlib import Path

import pytest
from pyproj.exceptions import CRSError

import factory_pipeline
from factory_pipeline.crs_transformer import crs_transformer

PACKAGE = Path(factory_pipeline.__file__).parent


def test_degrees_come_as_longitude_and_latitude() -> None:
    x, y = crs_transformer(4326, 32632).transform(9.0, 0.0)
    assert (round(x), round(y)) == (500_000, 0)
    longitude, latitude = crs_transformer("EPSG:32632", "OGC:CRS84").transform(500_000.0, 0.0)
    assert (round(longitude, 9), round(latitude, 9)) == (9.0, 0.0)


def test_a_transformation_is_made_once() -> None:
    assert crs_transformer(4326, 32633) is crs_transformer(4326, 32633)


def test_no_crs_is_told() -> None:
    with pytest.raises(CRSError):
        crs_transformer(4326, "nowhere")


@pytest.mark.integration
def test_transformers_are_made_here_only() -> None:
    makers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "Transformer" in (text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module == "pyproj"
        if "Transformer" in {name.name for name in node.names}
    }
    assert makers == {"crs_transformer.py"}
