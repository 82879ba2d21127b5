"""The volumes of a spec are checked before anything is cut from them."""

from typing import Any

import numpy as np
import pytest

from factory_pipeline.errors import VolumeError
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.sources import (
    OUTSIDE_SHOWN,
    Sources,
    mip0_resolution,
    open_sources,
    refuse_outside,
)
from factory_pipeline.volumes.spec import PairSpec
from factory_pipeline.volumes.volume import VolumeReader
from factory_pipeline_tests.volumes.factories import MIP0, halved, spec_of, texture, write_volume

SHAPE = (32, 24, 3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder, image = tmp_path_factory.mktemp("sources"), texture(SHAPE)
    vectors = np.zeros((8, 6, 3, 2), np.float32)
    return {
        "image": write_volume(folder / "image", {0: image, 1: halved(image)}),
        "field": write_volume(folder / "field", {2: vectors}, chunk=(8, 8, 1)),
        "whole": write_volume(folder / "whole", {2: vectors.astype(np.int16)}, chunk=(8, 8, 1)),
    }


def opened(paths: dict[str, str], **changes: Any) -> Sources:
    return open_sources(PairSpec.model_validate(spec_of(paths["image"], **changes)), VolumeReader())


def field_of(path: str) -> dict[str, Any]:
    return {"path": path, "src_mip": 2}


def test_all_volumes_are_opened_at_their_mips(paths: dict[str, str]) -> None:
    mask = {"path": paths["image"], "src_mip": 1, "threshold": 9}
    found = opened(paths, field=field_of(paths["field"]), masks=[mask], max_mip=2)
    assert [volume.mip for volume in found.volumes()] == [0, 2, 1]
    assert [threshold for _, threshold in found.masks] == [9]
    assert (
        found.identity() == opened(paths, field=field_of(paths["field"]), masks=[mask], max_mip=2).identity()
    )
    assert mip0_resolution(paths["image"], VolumeReader()) == MIP0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            lambda paths: {"field": field_of(paths["image"])},
            r"\$\.field: .* has 1 channels, and 2 must be there",
        ),
        (lambda paths: {"field": field_of(paths["whole"])}, "has values of int16, fields have float32"),
        (
            lambda paths: {"masks": [{"path": paths["field"], "src_mip": 0, "threshold": 1}]},
            r"\$\.masks\[0\]: .* has 2 channels, and 1 must be there",
        ),
        (lambda paths: {"image": {"path": paths["image"], "src_mip": 2}}, r"^\$\.image: "),
    ],
)
def test_a_volume_of_another_kind_is_refused_with_its_place_in_the_spec(
    paths: dict[str, str], changes: Any, told: str
) -> None:
    with pytest.raises(VolumeError, match=told):
        opened(paths, max_mip=2, **changes(paths))


def test_boxes_outside_are_described_for_each_volume(paths: dict[str, str]) -> None:
    found = opened(paths, field=field_of(paths["field"]), max_mip=2)
    inside, outside = Box(1, 0, 0, 16, 16), Box(1, 0, 24, 16, 16)
    assert list(found.outside_image(inside)) == []
    assert list(found.outside_field(inside)) == []
    assert len(list(found.outside_image(outside))) == 1
    assert len(list(found.outside_field(outside))) == 1


def test_so_many_boxes_outside_are_named_and_the_others_counted() -> None:
    refuse_outside([])
    with pytest.raises(VolumeError, match="place 0; place 1") as error:
        refuse_outside(f"place {number}" for number in range(OUTSIDE_SHOWN + 5))
    assert str(error.value).endswith(f"place {OUTSIDE_SHOWN - 1}; and 5 more.")
