"""Products of an orbit are joined shot by shot: exactly, completely, and what is left out has a reason."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.errors import GranuleError
from factory_pipeline_tests.builds.gedi.product_granules import (
    FIRST,
    dictionary_join,
    fields_of,
    write_product,
)
from factory_pipeline_tests.builds.labels.collecting_ledger import CollectingLedger
from factory_pipeline_tests.builds.labels.test_gedi_shots import (
    OTHER_BEAM,
    PRODUCTS,
    SHOTS,
    labels,
    read_shots,
    reasons,
    write,
)


@pytest.mark.parametrize("version", ["002", "003"])
def test_the_join_is_that_of_a_dictionary(tmp_path: Path, version: str) -> None:
    """Each product lacks other shots, has them in another order, and L4A lacks a beam."""
    rng = np.random.default_rng(1)
    paths = {}
    for product in ("L2A", "L2B", "L4A", "L4C"):
        shots = rng.permutation(rng.choice(np.array(SHOTS, np.uint64), 30, replace=False))
        beams = {"BEAM0101": fields_of(product, shots.tolist())}
        if product != "L4A":
            beams["BEAM1011"] = fields_of(product, OTHER_BEAM)
        paths[product] = write_product(tmp_path, product, beams, version)
    products = {
        "L2A": ["rh50", "rh98", "sensitivity", "quality_flag", "rh"],
        "L2B": ["cover", {"leaf_area": "pai"}, "pai_z[3]", "algorithmrun_flag"],
        "L4A": ["agbd", "predict_stratum", "land_cover_data/pft_class", "l4_quality_flag"],
        "L4C": ["wsci", "wsci_quality_flag"],
    }
    found = read_shots(labels(tmp_path, products, target={"column": "rh98"}, extra=["beam", "shot_number"]))

    flags = {
        "002": ("quality_flag", "algorithmrun_flag", "l4_quality_flag", "wsci_quality_flag"),
        "003": ("l2a_quality_flag_rel3", "l2_algrunflag", "l4a_quality_flag_rel3", "l4c_quality_flag_rel3"),
    }[version]
    expected = dictionary_join(
        paths,
        {
            "rh": ("L2A", "rh"),
            "sensitivity": ("L2A", "sensitivity"),
            "quality_flag": ("L2A", flags[0]),
            "cover": ("L2B", "cover"),
            "leaf_area": ("L2B", "pai"),
            "pai_z": ("L2B", "pai_z"),
            "algorithmrun_flag": ("L2B", flags[1]),
            "agbd": ("L4A", "agbd"),
            "predict_stratum": ("L4A", "predict_stratum"),
            "pft_class": ("L4A", "land_cover_data/pft_class"),
            "l4_quality_flag": ("L4A", flags[2]),
            "wsci": ("L4C", "wsci"),
            "wsci_quality_flag": ("L4C", flags[3]),
        },
    )
    assert found.table["id"].to_list() == [str(number) for number in sorted(expected)]
    for row, number in zip(found.table.iter_rows(named=True), sorted(expected), strict=True):
        of_shot = expected[number]
        np.testing.assert_array_equal(row["extra:rh"], of_shot["rh"])
        assert (row["extra:rh50"], row["extra:rh98"]) == (of_shot["rh"][50], of_shot["rh"][98])
        assert row["value"] == of_shot["rh"][98]
        assert row["extra:pai_z_3"] == of_shot["pai_z"][3]
        assert row["extra:predict_stratum"] == of_shot["predict_stratum"].decode()
        for name in set(of_shot) - {"rh", "pai_z", "predict_stratum"}:
            assert row[f"extra:{name}"] == of_shot[name], name
        assert row["extra:shot_number"] == number
        assert row["extra:beam"] == "BEAM0101"
    assert found.read == len(_all_shots(paths.values()))
    assert set(reasons(found)) == {"not_in_L2A", "not_in_L2B", "not_in_L4A", "not_in_L4C"}


def _all_shots(paths: Iterable[Path]) -> set[int]:
    """Shots that are in any granule."""
    shots: set[int] = set()
    for path in paths:
        with h5py.File(path) as file:
            for beam in (name for name in file if name.startswith("BEAM")):
                shots.update(file[beam]["shot_number"][()].tolist())
    return shots


def test_places_and_times_are_those_of_the_shots(tmp_path: Path) -> None:
    for product in PRODUCTS:
        write(tmp_path, product)
    row = read_shots(labels(tmp_path)).table.row(3, named=True)
    made = fields_of("L2A", SHOTS)
    assert row["latitude"] == made["lat_lowestmode"][3]
    assert row["longitude"] == made["lon_lowestmode"][3]
    moment = datetime(2018, 1, 1, tzinfo=UTC) + timedelta(seconds=made["delta_time"][3])
    assert row["start"] == row["end"] == moment
    # L2B alone has its positions in a sub-group.
    assert (
        read_shots(labels(tmp_path, {"L2B": ["cover"]})).table.row(3, named=True)["latitude"]
        == row["latitude"]
    )


def test_shot_numbers_are_never_rounded(tmp_path: Path) -> None:
    """Two numbers that are the same float64 are two shots."""
    assert float(FIRST) == float(FIRST - 1)
    write(tmp_path, "L2A", [FIRST, FIRST + 2])
    write(tmp_path, "L4A", [FIRST - 1, FIRST + 2])
    ledger = CollectingLedger()
    found = read_shots(labels(tmp_path, {"L2A": ["rh98"], "L4A": ["agbd"]}), ledger)
    assert found.table["id"].to_list() == [str(FIRST + 2)]
    assert ledger.reasons == {
        str(FIRST - 1): "not_in_L2A",
        str(FIRST): "not_in_L4A",
    }


def test_shot_numbers_that_are_not_integers_are_refused(tmp_path: Path) -> None:
    fields = {**fields_of("L2A", SHOTS), "shot_number": np.arange(40, dtype=np.float64)}
    write_product(tmp_path, "L2A", {"BEAM0101": fields})
    with pytest.raises(GranuleError, match="must hold integers, not float64"):
        read_shots(labels(tmp_path, {"L2A": ["rh98"]}))


def test_a_shot_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "L2A", [*SHOTS, FIRST])
    write(tmp_path, "L4A", SHOTS)
    ledger = CollectingLedger()
    found = read_shots(labels(tmp_path, {"L2A": ["rh98"], "L4A": ["agbd"]}), ledger)
    assert found.table.height == 40
    assert ledger.reasons == {str(FIRST): "shot_twice"}


def test_area_filters_and_rules_are_told_apart(tmp_path: Path) -> None:
    bad = np.zeros(40, np.uint8)
    fields = {**fields_of("L2A", SHOTS), "degrade_flag": np.where(np.arange(40) == 5, 3, bad)}
    write_product(tmp_path, "L2A", {"BEAM0101": fields, "BEAM0000": fields_of("L2A", OTHER_BEAM)})
    ledger = CollectingLedger()
    found = read_shots(
        labels(
            tmp_path,
            {"L2A": ["rh98"]},
            area=[51.001, 36, 52, 37],
            filters=["l2a-quality", "potapov-2021"],
            keep=[{"name": "tall", "keep": "rh98 > 20"}, "beam <> 'BEAM0110'"],
        ),
        ledger,
    )
    assert reasons(found) == {
        "outside_area": 1 + 1,
        "l2a-quality.degrade_flag": 1,
        "potapov-2021.power_beam": 9,
        "tall": 14 - 1,
    }
    assert found.table.height == 50 - 25
    row = ledger.rejects.filter(reason="tall").row(0, named=True)
    assert row["detail"].startswith("rh98 > 20 is not true, rh98 is ")
