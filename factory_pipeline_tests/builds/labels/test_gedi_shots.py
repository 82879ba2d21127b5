"""GEDI's products are joined shot by shot: exactly, completely, and what is left out has a reason."""

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.builds.gedi import aggregate, orbits, product_beams
from factory_pipeline.builds.gedi.granules import GranuleFile, Listing
from factory_pipeline.builds.labels import gedi_shots
from factory_pipeline.builds.labels.label_table import LabelTable, RejectLedger
from factory_pipeline.config.gedi_labels import GediLabels
from factory_pipeline.errors import GranuleError, GranuleUnavailableError, RecipeError
from factory_pipeline_tests.builds.gedi.product_granules import (
    FIRST,
    dictionary_join,
    fields_of,
    name_of,
    write_product,
)
from factory_pipeline_tests.builds.labels.collecting_ledger import CollectingLedger

REALDATA = os.environ.get("FACTORY_REALDATA")
SHOTS = range(FIRST, FIRST + 40)
OTHER_BEAM = range(FIRST + 600_000_000, FIRST + 600_000_010)
OTHER_ORBIT = "O06516_03_T00199"
PRODUCTS = {"L2A": ["rh98", "sensitivity"], "L2B": ["cover"], "L4A": ["agbd"]}


def labels(folder: Path, products: dict[str, Any] = PRODUCTS, **options: Any) -> GediLabels:
    return GediLabels.model_validate({"kind": "gedi", "path": str(folder), "products": products, **options})


def read_shots(of: GediLabels, ledger: RejectLedger | None = None) -> LabelTable:
    return gedi_shots.read_shots(of, ledger or RejectLedger())


def reasons(found: LabelTable) -> Counter[str]:
    return Counter(found.dropped)


def write(folder: Path, product: str, shots: Any = SHOTS, version: str = "002", **name: Any) -> Path:
    return write_product(folder, product, {"BEAM0101": fields_of(product, shots)}, version, **name)


def test_the_filter_of_potapov_2021_is_that_of_the_paper(tmp_path: Path) -> None:
    """Power beams, a sensitivity of 0.9 or more, and at most 2 m between six estimates of the ground."""
    shots = range(FIRST, FIRST + 5)
    ground = {f"geolocation/elev_lowestmode_a{n}": np.full(5, 100, np.float32) for n in range(1, 7)}
    ground["geolocation/elev_lowestmode_a1"][2] -= 1.5
    ground["geolocation/elev_lowestmode_a6"][2] += 0.5
    ground["geolocation/elev_lowestmode_a2"][3] += 2.1
    ground["geolocation/elev_lowestmode_a5"][4] = np.nan
    sensitivity = np.array([0.9, 0.899, 0.95, 0.95, 0.95], np.float32)
    power = {**fields_of("L2A", shots), **ground, "sensitivity": sensitivity}
    power["degrade_flag"] = np.ones(5, np.uint8)
    weak = fields_of("L2A", OTHER_BEAM)
    write_product(tmp_path, "L2A", {"BEAM0101": power, "BEAM0010": weak})
    found = read_shots(labels(tmp_path, {"L2A": ["rh98"]}, filters="potapov-2021"))
    assert found.table["id"].to_list() == [str(FIRST), str(FIRST + 2)]
    assert reasons(found) == {
        "potapov-2021.power_beam": len(OTHER_BEAM),
        "potapov-2021.sensitivity": 1,
        "potapov-2021.ground_found": 1,
        "potapov-2021.ground_range": 1,
    }


def test_missing_values_are_no_labels(tmp_path: Path) -> None:
    fields = fields_of("L4A", SHOTS)
    fields["agbd"][[1, 2]] = -9999, np.nan
    fields["agbd_se"][3] = -9999
    fields["delta_time"][4] = np.nan
    fields["lat_lowestmode"][5] = np.nan
    write_product(tmp_path, "L4A", {"BEAM0101": fields})
    found = read_shots(labels(tmp_path, {"L4A": ["agbd", "agbd_se"]}, target={"column": "agbd"}))
    assert reasons(found) == {"no_value": 2, "no_time": 1, "no_place": 1}
    assert found.table.filter(id=str(FIRST + 3))["extra:agbd_se"].is_nan().all()
    strict = read_shots(labels(tmp_path, {"L4A": ["agbd", "agbd_se"]}, keep=["agbd_se < 20"]))
    assert reasons(strict)["agbd_se < 20"] == 1


def test_a_profile_is_a_label(tmp_path: Path) -> None:
    fields = fields_of("L2A", SHOTS)
    fields["rh"][7, 30] = -9999
    write_product(tmp_path, "L2A", {"BEAM0101": fields})
    found = read_shots(labels(tmp_path, {"L2A": ["rh"]}, target={"column": "rh", "unit": "m"}))
    assert reasons(found) == {"no_value": 1}
    assert found.table.schema["extra:rh"] == pl.Array(pl.Float32, 101)
    np.testing.assert_array_equal(found.table["extra:rh"].to_numpy(), np.delete(fields["rh"], 7, axis=0))


def test_a_granule_without_its_partner_stops_the_build(tmp_path: Path) -> None:
    for product in PRODUCTS:
        write(tmp_path, product)
    write(tmp_path, "L2A", OTHER_BEAM, orbit=OTHER_ORBIT)
    with pytest.raises(GranuleError) as refused:
        read_shots(labels(tmp_path))
    assert f"{OTHER_ORBIT} has no L2B granule. {OTHER_ORBIT} has no L4A granule." in str(refused.value)
    assert "incomplete: drop" in str(refused.value)
    found = read_shots(labels(tmp_path, incomplete="drop"))
    assert found.table.height == 40
    assert reasons(found) == {"no_L2B_granule": 10}
    assert "2 granules are missing or can't be used" in found.remarks[-1]


def test_a_damaged_granule_stops_the_build(tmp_path: Path) -> None:
    for product in PRODUCTS:
        write(tmp_path, product)
        write(tmp_path, product, OTHER_BEAM, orbit=OTHER_ORBIT)
    path = tmp_path / name_of("L2B", OTHER_ORBIT)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(GranuleError, match=f"1 granule of 2 .* {path.name} is truncated"):
        read_shots(labels(tmp_path))
    ledger = CollectingLedger()
    found = read_shots(labels(tmp_path, incomplete="drop"), ledger)
    assert reasons(found) == {"granule_unusable": 10}
    assert path.name in ledger.rejects["detail"][0]


def test_a_field_that_is_missing_is_named_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "L2A")
    with pytest.raises(GranuleError, match=r"sensitivty is missing in BEAM0101 .*mean sensitivity"):
        read_shots(labels(tmp_path, {"L2A": ["sensitivty"]}))


def test_a_rule_on_an_unknown_column_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "L2A")
    with pytest.raises(RecipeError, match=r"unknown column quality_flag; .* must be named in products"):
        read_shots(labels(tmp_path, {"L2A": ["rh98"]}, keep=["quality_flag = 1"]))


def test_a_passing_fault_is_tried_again_and_never_a_smaller_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "L2A")
    really, tries = product_beams.read_column, []

    def away(dataset: h5py.Dataset) -> Any:
        tries.append(dataset.name)
        if len(tries) < 3:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return really(dataset)

    monkeypatch.setattr(aggregate, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(product_beams, "read_column", away)
    assert read_shots(labels(tmp_path, {"L2A": ["rh98"]})).table.height == 40
    monkeypatch.setattr(aggregate, "PAUSES_S", (0.0,))
    tries.clear()
    with pytest.raises(GranuleUnavailableError, match="can't be read now"):
        read_shots(labels(tmp_path, {"L2A": ["rh98"]}, incomplete="drop"))


def test_releases_are_not_mixed_and_the_newest_production_counts(tmp_path: Path) -> None:
    """L2A is there in both versions, L4A in the older alone: both are read of that."""
    write(tmp_path, "L2A", SHOTS, version="003")
    write(tmp_path, "L2A", SHOTS[:20])
    write(tmp_path, "L4A", SHOTS[:5])
    write(tmp_path, "L4A", SHOTS, production="02")
    found = read_shots(labels(tmp_path, {"L2A": ["rh98"], "L4A": ["agbd"]}))
    assert found.table.height == 20
    assert found.remarks == (
        "Granules: 1 of L2A 002, 1 of L4A 002.",
        "2 granules are of an older production, or of another version.",
    )
    (tmp_path / name_of("L2A")).unlink()
    with pytest.raises(GranuleError, match=r"no L2A granule of version 003|no L4A granule of version 003"):
        read_shots(labels(tmp_path, {"L2A": ["rh98"], "L4A": ["agbd"]}))


def test_credentials_of_an_address_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prefix has files, none of them of GEDI."""
    path = write(tmp_path, "L2A")
    other = GranuleFile("s3://bucket", "other.h5", path.stat().st_size, "1")
    monkeypatch.setattr(orbits, "list_source", lambda *_, **__: Listing((other,), {}))
    with pytest.raises(GranuleError) as refused:
        orbits.list_orbits("https://user:secret@host/gedi?sig=secret", ["L2A"])
    assert "secret" not in str(refused.value)


def test_names_that_are_not_of_granules(tmp_path: Path) -> None:
    path = write(tmp_path, "L2A")
    shutil.copy(path, tmp_path / "other.h5")
    found = read_shots(labels(tmp_path, {"L2A": ["rh98"]}))
    assert found.remarks[-1] == "Not read: other.h5."
    path.rename(tmp_path / path.name.replace("_V002", "_V002 (1)").replace("_O06515", "_06515"))
    with pytest.raises(GranuleError, match="is not named like a GEDI L2A granule"):
        read_shots(labels(tmp_path, {"L2A": ["rh98"]}))
    with pytest.raises(GranuleError, match="holds no granule of L4A"):
        read_shots(labels(tmp_path, {"L4A": ["agbd"]}))


@pytest.mark.integration
@pytest.mark.skipif(not REALDATA, reason="FACTORY_REALDATA names no folder of real granules")
def test_real_granules_are_joined_with_heights_of_their_shots(tmp_path: Path) -> None:
    """Real granules of L4A, and L2A made for every second of their shots."""
    paths: dict[str, dict[str, Path]] = {"L4A": {}, "L2A": {}}
    for path in sorted((Path(REALDATA or "") / "gedi_l4a").glob("*.h5")):
        orbit = path.name[23:39]
        paths["L4A"][orbit] = Path(shutil.copy(path, tmp_path))
        with h5py.File(path) as file:
            beams = {
                beam: fields_of("L2A", file[beam]["shot_number"][::2].tolist())
                for beam in file
                if beam.startswith("BEAM")
            }
        paths["L2A"][orbit] = write_product(tmp_path, "L2A", beams, orbit=orbit)
    products = {"L4A": ["agbd", "predict_stratum", "land_cover_data/landsat_treecover"], "L2A": ["rh98"]}
    found = read_shots(labels(tmp_path, products, filters="l4a-quality", extra=["shot_number"]))

    expected: dict[int, dict[str, Any]] = {}
    fields = {
        "agbd": ("L4A", "agbd"),
        "treecover": ("L4A", "land_cover_data/landsat_treecover"),
        "flag": ("L4A", "l4_quality_flag"),
        "degraded": ("L4A", "degrade_flag"),
        "rh": ("L2A", "rh"),
    }
    for orbit in paths["L4A"]:
        expected |= dictionary_join({name: of_product[orbit] for name, of_product in paths.items()}, fields)
    good = {n: v for n, v in expected.items() if v["flag"] == 1 and v["degraded"] == 0}
    assert len(good) > 100
    assert set(found.table["extra:shot_number"]) == set(good)
    for number, agbd, cover, height in found.table.select(
        "extra:shot_number", "extra:agbd", "extra:landsat_treecover", "extra:rh98"
    ).iter_rows():
        of_shot = good[number]
        assert (agbd, cover, height) == (of_shot["agbd"], of_shot["treecover"], of_shot["rh"][98])
    assert found.read == 461 + 966
    assert reasons(found)["not_in_L2A"] == found.read - len(expected)
