"""The first rows of a block, decoded alone, are those of the full block."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from imagecodecs import bitorder_decode
from numpy.typing import NDArray

from factory_pipeline.cog import decode
from factory_pipeline.cog.decode import full_decoder, top_decoder
from factory_pipeline_tests.cog.factories import unpacked

WIDTH, ROWS = 32, 48


def pixels(dtype: str) -> NDArray[Any]:
    values = np.random.default_rng(7).integers(0, 200, (ROWS, WIDTH))
    return values.astype(dtype)


def write(path: Path, values: NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(path, values, **({} if "tile" in options else {"rowsperstrip": ROWS}), **options)
    return path


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("uint16", {"compression": "deflate"}),
        ("uint16", {"compression": "deflate", "predictor": 2}),
        ("float32", {"compression": "deflate", "predictor": 3}),
        ("uint16", {"compression": "deflate", "predictor": 2, "byteorder": ">"}),
        ("float32", {"compression": "deflate", "predictor": 3, "byteorder": ">"}),
        ("float32", {"compression": "deflate", "predictor": 3, "tile": (ROWS, WIDTH)}),
        ("uint16", {"compression": "deflate", "predictor": 2, "tile": (ROWS, WIDTH)}),
        ("int32", {"compression": "deflate", "predictor": 2, "tile": (ROWS, WIDTH), "byteorder": ">"}),
        ("float32", {"compression": "deflate", "tile": (ROWS, WIDTH)}),
        ("float64", {"compression": "deflate", "predictor": 3, "tile": (ROWS, WIDTH), "byteorder": ">"}),
    ],
)
def test_the_top_is_that_of_the_block(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    values = pixels(dtype)
    with tifffile.TiffFile(write(tmp_path / "a.tif", values, **options)) as tiff:
        page = tiff.pages.first
        data = memoryview(tiff.filehandle.read_segments(page.dataoffsets, page.databytecounts).__next__()[0])
        full = unpacked(full_decoder(page, np.dtype(dtype), ROWS, WIDTH, 1)(data, 0))
        assert full.dtype == np.dtype(dtype)
        assert np.array_equal(full[..., 0], values)
        top = top_decoder(page, np.dtype(dtype), WIDTH, 1)
        assert top is not None
        rows = unpacked(top(data[: len(data) - 8], 20))
        assert rows.dtype == np.dtype(dtype)
        assert np.array_equal(rows[..., 0], values[:20])
        assert top(data[:40], 20) is None


@pytest.mark.parametrize(("dtype", "predictor"), [("uint16", 2), ("float32", 3)])
def test_a_tile_of_another_length_is_an_error(tmp_path: Path, dtype: str, predictor: int) -> None:
    options = {"compression": "deflate", "predictor": predictor, "tile": (ROWS, WIDTH)}
    with tifffile.TiffFile(write(tmp_path / "a.tif", pixels(dtype), **options)) as tiff:
        decode_full = full_decoder(tiff.pages.first, np.dtype(dtype), ROWS, WIDTH, 1)
    size = ROWS * WIDTH * np.dtype(dtype).itemsize
    for length in size - 64, size + 64:
        with pytest.raises(Exception, match=f"not {size}|INSUFFICIENT_SPACE"):
            decode_full(memoryview(zlib.compress(bytes(length))), 0)


def test_other_compressions_have_no_top(tmp_path: Path) -> None:
    with tifffile.TiffFile(write(tmp_path / "a.tif", pixels("uint8"), compression="lzw")) as tiff:
        assert top_decoder(tiff.pages.first, np.dtype("uint8"), WIDTH, 1) is None


def test_files_of_one_kind_share_their_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a decoder refers to is kept once for all files whose blocks are of the same kind."""
    monkeypatch.setattr(decode, "_decoders", {})  # that of other tests may be nearly full

    def decoders(name: str, dtype: str = "uint16", **options: Any) -> tuple[Any, Any]:
        with tifffile.TiffFile(write(tmp_path / name, pixels(dtype), **options)) as tiff:
            page = tiff.pages.first
            return full_decoder(page, page.dtype, ROWS, WIDTH, 1), top_decoder(page, page.dtype, WIDTH, 1)

    kinds: dict[str, dict[str, Any]] = {
        "deflate": {"compression": "deflate"},
        "predictor": {"compression": "deflate", "predictor": 2},
        "big": {"compression": "deflate", "byteorder": ">"},
        "int16": {"compression": "deflate", "dtype": "int16"},
        "tiles": {"compression": "deflate", "tile": (ROWS, WIDTH)},
        "floats": {"compression": "deflate", "predictor": 3, "dtype": "float32", "tile": (ROWS, WIDTH)},
    }
    first = {name: decoders(f"{name}-1.tif", **options) for name, options in kinds.items()}
    second = {name: decoders(f"{name}-2.tif", **options) for name, options in kinds.items()}
    assert first == second
    assert len({id(full) for full, _ in first.values()}) == len(kinds)


@pytest.mark.parametrize("fill_order", [1, 2])
def test_a_damaged_stream_of_lzw_is_refused_before_its_decoder_reads_foreign_memory(
    tmp_path: Path, fill_order: int
) -> None:
    values = pixels("uint8")
    with tifffile.TiffFile(write(tmp_path / "a.tif", values, compression="lzw")) as tiff:
        page = tiff.pages.first
        data = bytearray(next(iter(tiff.filehandle.read_segments(page.dataoffsets, page.databytecounts)))[0])
        page.fillorder = fill_order
        decode_block = full_decoder(page, np.dtype("uint8"), ROWS, WIDTH, 1)

        def stored() -> memoryview:
            return memoryview(bitorder_decode(bytes(data)) if fill_order == 2 else bytes(data))

        assert np.array_equal(unpacked(decode_block(stored(), 0))[..., 0], values)
        # The second code of 9 bits, the first after the table was cleared.
        data[1] |= 0x7F
        data[2] |= 0xC0
        with pytest.raises(ValueError, match="after it was cleared"):
            decode_block(stored(), 0)
