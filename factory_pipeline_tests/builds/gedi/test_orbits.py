"""Which granules of several products belong together, by their names alone."""

from pathlib import Path

import pytest

from factory_pipeline.builds.gedi.orbits import list_orbits
from factory_pipeline.errors import GranuleError


def touch(
    folder: Path, prefix: str, *, orbit: int = 6515, production: str = "01", version: str = "002"
) -> str:
    name = f"{prefix}_2020041000000_O{orbit:05d}_02_T00198_02_003_{production}_V{version}.h5"
    (folder / name).write_bytes(b"")
    return name


def test_the_newest_production_of_each_product_makes_an_orbit(tmp_path: Path) -> None:
    touch(tmp_path, "GEDI02_A")
    newest = touch(tmp_path, "GEDI02_A", production="02")
    biomass = touch(tmp_path, "GEDI04_A")
    found = list_orbits(str(tmp_path), ("L2A", "L4A"))
    (orbit,) = found.orbits
    assert orbit.name == "O06515_02_T00198"
    assert {product: granule.name for product, granule in orbit.granules.items()} == {
        "L2A": newest,
        "L4A": biomass,
    }
    assert orbit.missing == {}
    assert found.replaced == 1


def test_all_granules_of_an_orbit_are_of_the_release_with_most_products(tmp_path: Path) -> None:
    touch(tmp_path, "GEDI02_A", version="003")
    touch(tmp_path, "GEDI02_A", version="002")
    touch(tmp_path, "GEDI04_A", version="002")
    (orbit,) = list_orbits(str(tmp_path), ("L2A", "L4A")).orbits
    assert orbit.release == "002"
    assert set(orbit.granules) == {"L2A", "L4A"}


def test_a_product_of_another_release_alone_is_missing_with_its_reason(tmp_path: Path) -> None:
    touch(tmp_path, "GEDI02_A", version="003")
    touch(tmp_path, "GEDI04_A", version="002")
    (orbit,) = list_orbits(str(tmp_path), ("L2A", "L4A")).orbits
    assert orbit.release == "003"
    assert orbit.missing == {
        "L4A": "O06515_02_T00198 has no L4A granule of version 003, only of 002.",
    }


def test_other_products_are_passed_over_and_bad_names_reported(tmp_path: Path) -> None:
    touch(tmp_path, "GEDI04_A", orbit=2)
    touch(tmp_path, "GEDI04_A", orbit=1)
    touch(tmp_path, "GEDI02_B")
    (tmp_path / "GEDI04_A_copy.h5").write_bytes(b"")
    (tmp_path / "notes.h5").write_bytes(b"")
    found = list_orbits(str(tmp_path), ("L2A", "L4A"))
    assert [orbit.name[:6] for orbit in found.orbits] == ["O00001", "O00002"]
    assert found.orbits[0].missing == {"L2A": "O00001_02_T00198 has no L2A granule."}
    assert found.misnamed[0].startswith("The file GEDI04_A_copy.h5 is not named like a GEDI L4A granule")
    assert found.ignored == ("notes.h5",)


def test_a_folder_without_any_of_the_products_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "GEDI02_B")
    with pytest.raises(GranuleError, match="holds no granule of L4A, L4C"):
        list_orbits(str(tmp_path), ("L4A", "L4C"))
