"""The sample volume, and the demo: from points to image pairs and fields, coarse to fine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory_pipeline.cli.terminal import echo, echo_block

if TYPE_CHECKING:
    from factory_pipeline.sdk.progress_bar import ProgressLine
    from factory_pipeline.synthetic.volume import SampleVolume
    from factory_pipeline.volumes.pair_dataset import PairDataset
    from factory_pipeline.volumes.points import Point

COARSE, FINE = 2, 1
"""Mips of the demo's two sets of pairs."""
OFFSETS = (-1, -2, -3)


def make_sample_volume(output: Path) -> "SampleVolume":
    """Make the sample volume in a folder, with a progress line; one that exists is left as it is."""
    from factory_pipeline.sdk.progress_bar import ProgressLine
    from factory_pipeline.synthetic.volume import make_volume

    output.mkdir(parents=True, exist_ok=True)
    with ProgressLine() as line:
        volume = make_volume(
            output / "volume",
            on_section=lambda done, number: line.show("Sections", done / number, f"{done} of {number}"),
        )
    echo(f"Volume: {volume.image}, {volume.field}, {volume.defects}")
    echo(f"Points: {volume.points}", f"Spec:   {volume.spec}")
    return volume


def demo_pairs(output: Path) -> None:
    """Cut pairs of the sample volume at two mips and align them, coarse to fine, by the reference aligner."""
    from factory_pipeline.sdk.progress_bar import ProgressLine
    from factory_pipeline.volumes.pair_files import Place, field_name
    from factory_pipeline.volumes.points import read_points

    volume = make_sample_volume(output.absolute())
    points = read_points(volume.points).points
    with ProgressLine() as line:
        coarse = _make_pairs(volume, points, COARSE, output / "coarse", line)
        fine = _make_pairs(volume, points, FINE, output / "fine", line)
        # Named as metroem's reader looks for the fields of the fine images.
        place = Place(*_first_place(fine))
        first = output / "fine" / field_name(place, FINE, stage=1)
        second = output / "fine" / field_name(place, FINE, stage=2)
        _align(coarse.paths.images, coarse.paths.fields, (COARSE, FINE), first, line)
        _align(fine.paths.images, first, (FINE, FINE), second, line)
    echo_block(f"\n{coarse}\n\n{fine}\n")
    for mip, fields in ((COARSE, first), (FINE, second)):
        before, after = _mean_correlations(fields)
        echo(f"MIP {mip}: correlation of src and tgt {before:.2f} before, {after:.2f} after: {fields}")


def _make_pairs(
    volume: "SampleVolume", points: "tuple[Point, ...]", mip: int, folder: Path, line: "ProgressLine"
) -> "PairDataset":
    """Cut boxes of the same centre at a mip, all of the same number of pixels."""
    from factory_pipeline.storage.atomic import write_text
    from factory_pipeline.volumes.create_spec import create_spec
    from factory_pipeline.volumes.pair_dataset import make_dataset

    template: dict[str, Any] = json.loads(volume.spec.read_text())
    inset = template["x_size"] * (2**COARSE - 2**mip) // 2
    moved = [point._replace(x=point.x + inset, y=point.y + inset) for point in points]
    template |= {"dst_mip": mip, "image": template["image"] | {"src_mip": mip}}
    template["masks"] = [mask | {"src_mip": mip} for mask in template["masks"]]
    spec = create_spec(template, moved, OFFSETS, permute_pairs=True)
    write_text(folder / "spec.json", json.dumps(spec, indent=2) + "\n")
    return make_dataset(
        spec,
        folder,
        on_progress=lambda done, total: line.show(f"Pairs of MIP {mip}", done / total),
    )


def _align(images: Path, previous: Path, mips: tuple[int, int], output: Path, line: "ProgressLine") -> None:
    from factory_pipeline.volumes.aligners.choose import REFERENCE, choose_aligner
    from factory_pipeline.volumes.fields.generate import generate_fields
    from factory_pipeline.volumes.fields.join import join_shards
    from factory_pipeline.volumes.fields.task import plan_fields

    task = plan_fields(images, previous, choose_aligner(REFERENCE, 0, "", mips[0]), *mips)
    shards = output.with_suffix(".shards")
    generate_fields(
        task, shards, on_shard=lambda done, pairs: line.show(f"Fields of MIP {mips[0]}", done / pairs)
    )
    join_shards(shards, output)


def _first_place(pairs: "PairDataset") -> tuple[int, int, int]:
    spec: Mapping[str, Any] = json.loads(pairs.paths.spec.read_text())
    src = spec["pairs"][0]["src"]
    return src["x_start"], src["y_start"], src["z_start"]


def _mean_correlations(fields: Path) -> tuple[float, float]:
    import h5py

    with h5py.File(fields) as file:
        before, after = file["correlation"][:].mean(axis=0).tolist()
    return before, after
