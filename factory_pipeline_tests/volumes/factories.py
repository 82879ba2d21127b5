"""Small volumes for tests, and servers that serve them."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray

from factory_pipeline_tests.archives.servers import host

Array = NDArray[Any]
MIP0 = (4.0, 4.0, 40.0)
"""Nanometres per voxel of MIP 0."""


def write_volume(
    path: Path,
    mips: dict[int, Array],
    *,
    chunk: tuple[int, int, int] = (16, 16, 1),
    offset: tuple[int, int, int] = (0, 0, 0),
    mip0: tuple[float, float, float] = MIP0,
) -> str:
    """Write a precomputed volume: by mip (x, y, z) or, with channels, (x, y, z, channels); return its path.

    `offset` is in MIP 0 pixels.
    """
    for mip, values in sorted(mips.items()):
        voxels = values if values.ndim == 4 else values[..., None]
        store = ts.open(
            {
                "driver": "neuroglancer_precomputed",
                # A chunk of zeros is written too, as a missing one is an error.
                "store_data_equal_to_fill_value": True,
                "kvstore": {"driver": "file", "path": f"{path}/"},
                "multiscale_metadata": {
                    "type": "image",
                    "data_type": str(voxels.dtype),
                    "num_channels": voxels.shape[3],
                },
                "scale_metadata": {
                    "size": list(voxels.shape[:3]),
                    "encoding": "raw",
                    "chunk_size": list(chunk),
                    "resolution": [mip0[0] * 2**mip, mip0[1] * 2**mip, mip0[2]],
                    "voxel_offset": [offset[0] // 2**mip, offset[1] // 2**mip, offset[2]],
                },
            },
            create=True,
        ).result()
        store[...] = voxels
    return str(path)


def texture(shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.uint8]:
    """Sections of noise that is never black."""
    return np.random.default_rng(seed).integers(1, 255, shape, np.uint8, endpoint=True)


def halved(image: Array) -> Array:
    """The next mip: means of 2 x 2 pixels."""
    x, y = image.shape[0] // 2, image.shape[1] // 2
    blocks = image[: 2 * x, : 2 * y].reshape(x, 2, y, 2, *image.shape[2:])
    return np.rint(blocks.mean(axis=(1, 3))).astype(image.dtype)


def spec_of(path: str, /, **changes: Any) -> dict[str, Any]:
    """A spec of one pair of 16 x 16 pixels at MIP 0."""
    return {
        "image": {"path": path, "src_mip": 0},
        "masks": [],
        "max_mip": 0,
        "dst_mip": 0,
        "x_size": 16,
        "y_size": 16,
        "pairs": [pair((0, 0, 1), (0, 0, 0))],
        **changes,
    }


def place(at: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("x_start", "y_start", "z_start"), at, strict=True))


def pair(src: tuple[int, int, int], tgt: tuple[int, int, int]) -> dict[str, Any]:
    return {"src": place(src), "tgt": place(tgt)}


class Served:
    """What a server was asked for, and when it refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: Counter[str] = Counter()
        self.refuse: Callable[[str, int], int | None] = lambda _path, _times: None
        """Given a path and how often it was requested: the status of a refusal, or None."""
        self.url = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.requests[path] += 1
        file = self.folder / path.lstrip("/")
        status = self.refuse(path, self.requests[path]) or (200 if file.is_file() else 404)
        body = file.read_bytes() if status == 200 else b""
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def chunks(self) -> dict[str, int]:
        """How often each chunk was requested."""
        return {path: times for path, times in self.requests.items() if not path.endswith("/info")}


@contextmanager
def serve(folder: Path) -> Iterator[Served]:
    served = Served(folder)
    with host(served.answer) as served.url:
        yield served
