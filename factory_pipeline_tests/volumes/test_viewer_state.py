"""The state of a viewer that shows the boxes of a spec."""

from factory_pipeline.volumes.spec import PairSpec
from factory_pipeline.volumes.viewer_state import BOXES, viewer_state
from factory_pipeline_tests.volumes.factories import MIP0, pair, spec_of


def state_of(**changes: object) -> dict[str, object]:
    return viewer_state(PairSpec.model_validate(spec_of("gs://bucket/image", **changes)), MIP0)


def test_each_box_is_shown_once_with_the_pairs_that_have_it() -> None:
    state = state_of(pairs=[pair((8, 0, 5), (8, 0, 4)), pair((8, 0, 4), (8, 0, 3))])
    images, boxes = state["layers"]  # type: ignore[misc]
    assert images["source"] == "precomputed://gs://bucket/image"
    assert boxes["name"] == BOXES
    assert [(box["pointA"], box["pointB"], box["description"]) for box in boxes["annotations"]] == [
        ([8, 0, 5], [24, 16, 6], "src of 0"),
        ([8, 0, 4], [24, 16, 5], "tgt of 0, src of 1"),
        ([8, 0, 3], [24, 16, 4], "tgt of 1"),
    ]
    assert len({box["id"] for box in boxes["annotations"]}) == 3


def test_it_opens_in_the_middle_of_the_first_box_in_metres() -> None:
    state = state_of(dst_mip=1)
    assert state["position"] == [16, 16, 1.5]
    assert state["dimensions"] == {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]}


def test_a_spec_without_pairs_opens_at_the_origin() -> None:
    state = state_of(pairs=[])
    assert state["position"] == [0, 0, 0]
    assert state["layers"][1]["annotations"] == []  # type: ignore[index]


def test_secrets_of_the_address_are_not_in_the_state() -> None:
    spec = PairSpec.model_validate(spec_of("precomputed://https://user:secret@host/image"))
    assert "secret" not in str(viewer_state(spec, MIP0))
