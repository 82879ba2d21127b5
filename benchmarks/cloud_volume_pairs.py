"""What a user would write: each pair by itself, read with cloud-volume, normalised, masked, written by h5py.

A script for an interpreter that has cloud-volume, h5py and numpy; it needs nothing of this project.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from cloudvolume import CloudVolume


def main(spec_path: str, output: str) -> None:
    """Write the pairs of a spec whose mips are all the same; print the seconds that it took."""
    spec = json.loads(Path(spec_path).read_text())
    began = time.perf_counter()
    reference = spec["image"]["reference"]
    image, other = (volume(source) for source in (spec["image"], reference))
    masks = [(volume(mask), mask["threshold"]) for mask in spec["masks"]]
    scale = 2 ** spec["dst_mip"]
    shape = (spec["x_size"], spec["y_size"])
    around = (reference["x_size"], reference["y_size"])
    with h5py.File(output, "w") as file:
        images = file.create_dataset(
            "main", (len(spec["pairs"]), 2, *shape), np.float32, chunks=(1, 1, *shape), compression="lzf"
        )
        for row, pair in enumerate(spec["pairs"]):
            for side, place in enumerate((pair["src"], pair["tgt"])):
                x, y, z = place["x_start"] // scale, place["y_start"] // scale, place["z_start"]
                pixels, masked = cut(image, masks, (x, y, z), shape)
                start = (x + shape[0] // 2 - around[0] // 2, y + shape[1] // 2 - around[1] // 2, z)
                counted, hidden = cut(other, masks, start, around)
                valid = counted[~hidden & (counted != 0) & np.isfinite(counted)]
                black = pixels == 0
                pixels = (pixels - valid.mean()) / valid.std(ddof=1)
                pixels[masked | black] = 0
                images[row, side] = pixels
    print(time.perf_counter() - began)


def volume(source: dict[str, Any]) -> CloudVolume:
    """Open a volume as the scripts of metroem do."""
    return CloudVolume(
        f"precomputed://{source['path']}",
        mip=source["src_mip"],
        fill_missing=True,
        bounded=False,
        progress=False,
    )


def cut(
    image: CloudVolume,
    masks: list[tuple[CloudVolume, float]],
    start: tuple[int, int, int],
    shape: tuple[int, int],
) -> tuple[Any, Any]:
    """Return an image and where it is masked."""
    (x, y, z), (width, height) = start, shape
    window = np.s_[x : x + width, y : y + height, z : z + 1]
    masked = np.zeros(shape, bool)
    for mask, threshold in masks:
        masked |= np.asarray(mask[window])[..., 0, 0] >= threshold
    return np.asarray(image[window])[..., 0, 0].astype(np.float32), masked


if __name__ == "__main__":
    main(*sys.argv[1:])
