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


@pytest.mark.parametrize("noisy_bytes", [0, 1, 2, 3, 4])
def test_noise_is_stored_as_it_is(noisy_bytes: int) -> None:
    """A large chunk of which the lowest bytes are noise: any reader of zlib's format reads it."""
    random = np.random.default_rng(1)
    values = np.full((8, 128, 200), 0x01020304, "<u4")
    values.view(np.uint8).reshape(*values.shape, 4)[..., :noisy_bytes] = random.integers(
        0, 256, (*values.shape, noisy_bytes), np.uint8
    )
    stored = encode_chunk_fast(values)
    planes = values.reshape(-1).view(np.uint8).reshape(-1, 4).T
    assert zlib.decompress(stored) == planes.tobytes()
    assert (planes[0, :1000].tobytes() in stored) == (noisy_bytes > 0)
    assert len(stored) < values.size * (noisy_bytes + 0.01) + 1000
    out = np.empty_like(values)
    decode_chunk(stored, out)
    np.testing.assert_array_equal(out, values)


def test_a_plane_that_is_partly_noise_is_deflated() -> None:
    values = np.zeros(2**18, np.uint8)
    values[: 2**17] = np.random.default_rng(1).integers(0, 256, 2**17, np.uint8)
    assert len(encode_chunk_fast(values)) < 0.52 * values.nbytes


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
