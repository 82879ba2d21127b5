"""How much the plain ways to split the demo's windows leak is said everywhere, and the others do not leak."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from factory_pipeline.cli.main import cli
from factory_pipeline.datalake.tables.schemas import ITEM_SCHEMA
from factory_pipeline.sdk.client import DatasetClient
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline_tests.datasets.versions.factories import MadeLake, box, made_lake
from factory_pipeline_tests.web.studio.visitor import Visitor, studio_of_home, text_of

WINDOWS = Path(__file__).parent / "demo_windows.csv"
"""Left and top edge in metres of UTM zone 33 of the 614 windows of 320 m that `factory demo` cuts, and the
year of the shot: 2020 trains, 2021 tests."""
SHARES = {"train": 70, "test": 20, "validation": 10}
YEARS = {"by": "column", "column": "year", "train": [2020], "test": [2021]}
NONE = {"train": 60, "test": 40, "validation": 0}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FactoryHome]:
    """The windows as a collection, without their pixels."""
    windows = pl.read_csv(WINDOWS)
    with made_lake(tmp_path_factory.mktemp("leaks") / "home") as lake:
        lake.annotate(register(lake, windows), [box("0", "Tree cover")])
        yield lake.home


def register(lake: MadeLake, windows: pl.DataFrame) -> Any:
    rows = [
        {
            "id": str(number),
            "datetime": datetime(year, 7, 1, tzinfo=UTC),
            "width": 32,
            "height": 32,
            "proj:code": "EPSG:32633",
            "proj:transform": [10.0, 0.0, float(left), 0.0, -10.0, float(top)],
            "media": [
                dict.fromkeys(("member", "row", "rgb", "nodata"))
                | {"modality": "S2", "path": "gone.tif", "bands": ["B04"], "dtype": "uint16"}
                | {"sha256": hashlib.sha256(str(number).encode()).hexdigest()}
            ],
        }
        for number, (left, top, year) in enumerate(windows.iter_rows())
    ]
    return lake.register("windows", pl.DataFrame(rows, schema=ITEM_SCHEMA))


@pytest.mark.parametrize(
    ("name", "asked", "leaking", "helps"),
    [
        ("at-random", {"split_info": SHARES, "overlap": "ignore"}, (0.95, 1), "overlap='group'"),
        ("by-year", {"split_info": {}, "split_by": YEARS, "overlap": "ignore"}, (209 / 330,) * 2, "block_m"),
        ("by-groups", {"split_info": SHARES}, (0, 0), ""),
        ("years-apart", {"split_info": {}, "split_by": YEARS}, (0, 0), ""),
        ("time-and-space", {"split_info": NONE, "split_by": YEARS, "block_m": 2000}, (0, 0), ""),
    ],
)
def test_what_leaks_is_said_in_sdk_cli_and_page(
    home: FactoryHome,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    asked: dict[str, Any],
    leaking: tuple[float, float],
    helps: str,
) -> None:
    client = DatasetClient(home=home.root, on_progress=lambda *_: None)
    made = client.create_dataset_from_collection(name, "windows", labels=[], **asked)
    said = made.division.notes[0]
    assert leaking[0] - 1e-9 <= made.division.leaking_share <= leaking[1] + 1e-9
    assert said.startswith("The split leaks" if leaking[1] else "No overlapping or identical items are in")
    assert helps in said
    if leaking[1]:
        assert f"{made.division.leaking_share:.1%} of the test and validation items share ground" in said

    monkeypatch.setenv("FACTORY_HOME", str(home.root))
    told = CliRunner().invoke(cli, ["splits", name])
    assert told.exit_code == 0, told.output
    assert said in told.output
    record = json.loads(CliRunner().invoke(cli, ["splits", name, "--json"]).output)
    assert (record["crossing_pairs"] > 0) == (leaking[1] > 0) == (not record["promises_zero"])
    assert sum(record["splits"].values()) + record["left_out"] == 614
    names = [ids for of_reason in record["left_out_items"].values() for ids in of_reason["windows"]]
    assert len(set(names)) == record["left_out"] == made.division.left_out

    with closing((studio := studio_of_home(home)).registry):
        page = text_of(Visitor(studio).page(f"/versions/{made.version_id}"))
    assert said in page
