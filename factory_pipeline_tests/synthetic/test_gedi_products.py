"""Granules of other products have the shots of a granule of L4A, and values that fit each other."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from factory_pipeline.builds.labels.gedi_shots import read_shots
from factory_pipeline.builds.labels.label_table import RejectLedger
from factory_pipeline.config.gedi_labels import GediLabels, known_filters
from factory_pipeline.synthetic.gedi_products import SOFTWARE, write_partner_granules
from factory_pipeline.synthetic.granules import write_granule
from factory_pipeline.synthetic.world import World
from factory_pipeline_tests.synthetic.small import SMALL_PLAN

FIELDS = {
    "L4A": ["agbd", "l4_quality_flag"],
    "L2A": ["rh", "rh98"],
    "L2B": ["cover", "pai", "pai_z", "fhd_normal"],
    "L4C": ["wsci"],
}


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A granule of each product."""
    folder = tmp_path_factory.mktemp("granules")
    l4a = write_granule(folder, World(22), SMALL_PLAN.overpasses[0])
    return {"L4A": l4a, **write_partner_granules(l4a, list(SOFTWARE))}


def shots_of(path: Path) -> dict[str, list[int]]:
    with h5py.File(path) as file:
        return {beam: file[beam]["shot_number"][:].tolist() for beam in file if beam.startswith("BEAM")}


@pytest.mark.integration  # takes seconds
def test_products_have_the_shots_of_l4a_and_the_same_bytes_again(
    granules: dict[str, Path], tmp_path: Path
) -> None:
    for path in granules.values():
        assert shots_of(path) == shots_of(granules["L4A"])
    copy = Path(shutil.copy(granules["L4A"], tmp_path))
    again = write_partner_granules(copy, ["L2A"])["L2A"]
    assert (again.name, again.read_bytes()) == (granules["L2A"].name, granules["L2A"].read_bytes())


@pytest.mark.integration
def test_fields_have_the_names_of_their_version(granules: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copy(granules["L4A"], tmp_path))
    path = write_partner_granules(copy, ["L2B"], "003")["L2B"]
    assert path.name.endswith("_V003.h5")
    with h5py.File(path) as file:
        beam = file["BEAM0000"]
        assert {"lat_lowestmode", "l2b_quality_flag_rel3", "geolocation/degrade_flag"} <= set(beam) | {
            f"geolocation/{name}" for name in beam["geolocation"]
        }
        assert "geolocation/lat_lowestmode" not in beam


@pytest.mark.integration
def test_the_products_can_be_joined(granules: dict[str, Path]) -> None:
    asked = GediLabels.model_validate(
        {
            "kind": "gedi",
            "path": str(granules["L4A"].parent),
            "products": FIELDS,
            "filters": ["l2a-quality", "l2b-quality", "l4c-quality"],
            "target": {"column": "rh98"},
        }
    )
    found = read_shots(asked, RejectLedger())
    assert found.read == sum(map(len, shots_of(granules["L4A"]).values()))
    assert set(found.dropped) == {"l2a-quality.quality_flag"}
    heights = found.table["extra:rh"].to_numpy()
    assert (np.diff(heights, axis=1) >= 0).all()
    np.testing.assert_array_equal(heights[:, 98], found.table["value"])
    # Profiles fall with height, and all leaves are above the ground.
    profiles = found.table["extra:pai_z"].to_numpy()
    np.testing.assert_array_equal(profiles[:, 0], found.table["extra:pai"].to_numpy())
    assert (np.diff(profiles, axis=1) <= 0).all()
    for column, (least, most) in {"cover": (0, 1), "fhd_normal": (0, 4), "wsci": (4, 15)}.items():
        assert found.table[f"extra:{column}"].is_between(least, most).all()


@pytest.mark.integration
def test_each_filter_that_comes_with_the_software_runs_on_the_sample(granules: dict[str, Path]) -> None:
    for name in known_filters():
        asked = {"kind": "gedi", "path": str(granules["L4A"].parent), "filters": name}
        found = read_shots(
            GediLabels.model_validate({**asked, "products": {"L4A": ["agbd"]}}), RejectLedger()
        )
        assert 0 < found.table.height < found.read, name
        assert all(reason.startswith(f"{name}.") for reason in found.dropped)
