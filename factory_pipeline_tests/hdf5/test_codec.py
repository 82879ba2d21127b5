import zlib

import numpy as np
import pytest

from factory_pipeline.hdf5.codec import Encode, decode_chunk, encode_chunk, encode_chunk_fast


@pytest.mark.parametrize("encode", [encode_chunk, encode_chunk_fast])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", "i8"])
def test_a_chunk_comes_back(dtype: str, encode: Encode) -> None:
    values = np.random.default_rng(0).integers(0, 100, (3, 5, 7)).astype(dtype)
    out = np.empty_like(values)
    decode_chunk(encode(values), out)
    np.testing.assert_array_equal(out, values)


@pytest.mark.parametrize("encode", [encode_chunk, encode_chunk_fast])
def test_bytes_are_shuffled_and_in_the_format_of_zlib(encode: Encode) -> None:
    assert zlib.decompress(encode(np.array([0x0102, 0x0304], "<u2"))) == bytes([2, 4, 1, 3])
    assert zlib.decompress(encode(np.array([b"ab", b"cd"]))) == b"acbd"


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_cut_off_chunk_is_an_error(keep: int) -> None:
    values = np.arange(100, dtype="f4")
    with pytest.raises(ValueError, match=r"deflate|bytes"):
        decode_chunk(encode_chunk(values)[:keep], np.empty_like(values))


def test_a_chunk_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"8 bytes instead of 16|deflate"):
        decode_chunk(encode_chunk(np.zeros(2, "f4")), np.empty(4, "f4"))
