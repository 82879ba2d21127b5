"""From points to the pairs of a spec."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from factory_pipeline.errors import SpecError
from factory_pipeline.volumes.points import Point
from factory_pipeline.volumes.spec import parse_spec

PairForm = Literal["object", "list"]


def create_spec(
    template: Mapping[str, Any],
    points: Sequence[Point],
    offsets: Sequence[int],
    *,
    permute_pairs: bool = False,
    pair_form: PairForm = "object",
) -> dict[str, Any]:
    """Add pairs to a spec: per point, then per offset, the pair (z, z + offset) and its reverse if permuted.

    Args:
        template: the spec as JSON; its keys, unknown ones too, and its pairs stay.
        points: starts of boxes of src, in MIP 0 pixels. x and y are rounded down to 2**max_mip, z to a whole
            section.
        offsets: sections from src to tgt.
        permute_pairs: also add (z + offset, z).
        pair_form: `object` writes {"src": .., "tgt": ..}, `list` writes [src, tgt].

    Returns:
        The spec as JSON.

    Raises:
        SpecError: the template or the result has values that are not allowed, or an offset is 0.
    """
    if not offsets or 0 in offsets:
        raise SpecError("Offsets must be whole numbers other than 0, at least one.")
    spec = parse_spec(template, "The source spec")
    pairs: list[Any] = list(template["pairs"])
    for point in points:
        for offset in offsets:
            src, tgt = (_place(point, section, spec.max_mip) for section in (0, offset))
            pairs.append(_pair(src, tgt, pair_form))
            if permute_pairs:
                pairs.append(_pair(tgt, src, pair_form))
    created = {**template, "pairs": pairs}
    parse_spec(created, "The new spec")
    return created


def _place(point: Point, section: int, max_mip: int) -> dict[str, int]:
    return {
        "x_start": math.floor(point.x / 2**max_mip) * 2**max_mip,
        "y_start": math.floor(point.y / 2**max_mip) * 2**max_mip,
        "z_start": math.floor(point.z) + section,
    }


def _pair(src: dict[str, int], tgt: dict[str, int], form: PairForm) -> Any:
    return {"src": src, "tgt": tgt} if form == "object" else [src, tgt]
