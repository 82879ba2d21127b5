"""Reading volumes: over HTTP, from object stores, with retries, each chunk once."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from factory_pipeline.errors import VolumeError, VolumeUnavailableError
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.pair_dataset import PairSettings, make_dataset
from factory_pipeline.volumes.volume import Retries, VolumeReader
from factory_pipeline_tests.volumes.factories import (
    MIP0,
    Served,
    halved,
    pair,
    serve,
    spec_of,
    texture,
    write_volume,
)

IMAGE = texture((40, 32, 3))
QUICK = Retries(retries=2, pause_s=0.01, longest_wait_s=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volume")
    write_volume(folder / "image", {0: IMAGE, 1: halved(IMAGE)})
    return folder


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    with serve(folder) as server:
        yield server


def read(address: str, box: Box, mip: int = 0, *, fill_missing: bool = False) -> np.ndarray:
    reader = VolumeReader(fill_missing=fill_missing, retries=QUICK)
    return reader.open(address).at(mip, MIP0).start_read(box)()


def test_a_box_and_what_is_outside_of_it(folder: Path) -> None:
    inside = read(str(folder / "image"), Box(2, 3, 5, 30, 20))
    assert inside.dtype == np.float32
    np.testing.assert_array_equal(inside, IMAGE[None, 5:35, 3:23, 2])
    over = read(str(folder / "image"), Box(1, 24, -4, 12, 16))
    np.testing.assert_array_equal(over[0, 4:, :8], IMAGE[:8, 24:, 1])
    assert not over[0, :4].any()
    assert not over[0, :, 8:].any()
    assert not read(str(folder / "image"), Box(3, 0, 0, 8, 8)).any()
    np.testing.assert_array_equal(
        read(str(folder / "image"), Box(1, 4, 8, 16, 12), 1)[0], halved(IMAGE)[4:12, 2:8, 1]
    )


def test_an_offset_of_the_volume(tmp_path: Path) -> None:
    address = write_volume(tmp_path / "image", {0: IMAGE, 1: halved(IMAGE)}, offset=(100, -20, 7))
    np.testing.assert_array_equal(read(address, Box(8, -16, 102, 4, 6))[0], IMAGE[2:6, 4:10, 1])
    np.testing.assert_array_equal(read(address, Box(8, -16, 104, 4, 6), 1)[0], halved(IMAGE)[2:4, 2:5, 1])
    volume = VolumeReader().open(address).at(0, MIP0)
    assert volume.outside(Box(8, -20, 100, 40, 32)) is None
    assert (
        volume.outside(Box(6, -21, 100, 40, 32))
        == f"y -21..11 of -20..12 and z 6..7 of 7..10 at MIP 0 of {address}"
    )


def test_chunks_that_are_deep_and_addresses_of_files(tmp_path: Path) -> None:
    address = write_volume(tmp_path / "image", {0: IMAGE}, chunk=(8, 16, 2))
    for form in (address, f"file://{address}", f"precomputed://file://{address}/"):
        np.testing.assert_array_equal(read(form, Box(1, 3, 5, 30, 20))[0], IMAGE[5:35, 3:23, 1])


@pytest.mark.integration
def test_each_chunk_is_requested_once_for_all_pairs(tmp_path: Path) -> None:
    write_volume(tmp_path / "image", {0: IMAGE, 1: halved(IMAGE)}, chunk=(8, 8, 2))
    pairs = [pair((0, 0, 2), (0, 0, 1)), pair((0, 0, 1), (0, 0, 2)), pair((4, 8, 2), (4, 8, 0))]
    reference = {"src_mip": 1, "dst_mip": 1, "x_size": 16, "y_size": 16}
    with serve(tmp_path) as server:
        address = f"{server.url}/image"
        spec = spec_of(
            address,
            image={"path": address, "src_mip": 0, "reference": {"path": address, **reference}},
            pairs=pairs,
        )
        make_dataset(spec, tmp_path / "out", PairSettings(fill_missing=True, parallel=3))
        assert len(server.chunks()) > 8
        assert set(server.chunks().values()) == {1}


@pytest.mark.integration
def test_a_server_that_is_busy_for_a_while_is_waited_for(served: Served) -> None:
    served.refuse = lambda _, times: 503 if times <= 2 else None
    np.testing.assert_array_equal(read(f"{served.url}/image", Box(0, 0, 0, 8, 8))[0], IMAGE[:8, :8, 0])
    assert set(served.chunks().values()) == {3}


@pytest.mark.integration
def test_a_server_that_recovers_after_all_retries_is_asked_again(served: Served) -> None:
    # The description answers; a chunk only after more attempts than one round has.
    served.refuse = lambda path, times: None if path.endswith("info") or times > 4 else 503
    np.testing.assert_array_equal(read(f"{served.url}/image", Box(0, 0, 0, 8, 8))[0], IMAGE[:8, :8, 0])


@pytest.mark.integration
def test_a_server_that_stays_busy_is_unavailable_and_leaves_no_file(served: Served, tmp_path: Path) -> None:
    served.refuse = lambda path, _: None if path.endswith("info") else 503
    spec = spec_of(f"precomputed://{served.url.replace('//', '//me:secret@')}/image?sig=secret")
    with pytest.raises(VolumeUnavailableError, match=r"127.0.0.1:\d+/image is unavailable") as caught:
        make_dataset(spec, tmp_path, PairSettings(retries=QUICK))
    assert "secret" not in str(caught.value)
    assert not list(tmp_path.glob("*.h5"))
    # What was finished stays, and the same command goes on.
    served.refuse = lambda _path, _times: None
    made = make_dataset(spec, tmp_path, PairSettings(retries=QUICK))
    assert made.pairs == 1
    assert "secret" not in made.paths.spec.read_text()
    assert b"secret" not in b"".join(path.read_bytes() for path in made.paths)


@pytest.mark.integration
def test_a_read_that_takes_too_long_is_unavailable(served: Served) -> None:
    answering = threading.Event()

    def stall(path: str, _times: int) -> None:
        if not path.endswith("info"):
            answering.wait(30)

    served.refuse = stall
    hasty = VolumeReader(retries=Retries(retries=1, pause_s=0.01, longest_wait_s=0.5))
    volume = hasty.open(f"{served.url}/image").at(0, MIP0)
    with pytest.raises(VolumeUnavailableError, match=r"a read took more than 0\.5 seconds"):
        volume.start_read(Box(0, 0, 0, 8, 8))()
    answering.set()


def test_a_chunk_that_is_missing_is_named_or_read_as_zeros(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "image", tmp_path / "image")
    (tmp_path / "image" / "4_4_40" / "16-32_0-16_1-2").unlink()
    address = str(tmp_path / "image")
    with pytest.raises(VolumeError, match=r"image lacks the chunk 1, 0, 1: .*--fill-missing"):
        read(address, Box(1, 0, 0, 32, 16))
    filled = read(address, Box(1, 0, 0, 32, 16), fill_missing=True)[0]
    np.testing.assert_array_equal(filled[:16], IMAGE[:16, :16, 1])
    assert not filled[16:].any()


def test_a_broken_chunk_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "image", tmp_path / "image")
    (tmp_path / "image" / "4_4_40" / "0-16_0-16_1-2").write_bytes(b"short")
    with pytest.raises(VolumeError, match=r"image can't be read: .*"):
        read(str(tmp_path / "image"), Box(1, 0, 0, 8, 8), fill_missing=True)


@pytest.mark.integration
def test_what_is_not_a_volume_is_named(tmp_path: Path, served: Served) -> None:
    with pytest.raises(VolumeError, match=r"nothing is not a precomputed volume: it has no file 'info'"):
        VolumeReader().open(str(tmp_path / "nothing"))
    with pytest.raises(VolumeError, match=r"127.0.0.1:\d+/other is not a precomputed volume"):
        VolumeReader(retries=QUICK).open(f"{served.url}/other")
    for content in ("", "[]", "{}", '{"scales": [{}], "data_type": "uint8", "num_channels": 1}'):
        (tmp_path / "info").write_text(content)
        with pytest.raises(VolumeError, match="its file 'info' is not a valid description"):
            VolumeReader().open(str(tmp_path))
    (tmp_path / "info").write_text(json.dumps({"scales": [], "data_type": "uint8", "num_channels": 1}))
    with pytest.raises(VolumeError, match="lists no scales"):
        VolumeReader().open(str(tmp_path))


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(VolumeUnavailableError, match=r"http://127.0.0.1:9/image is unavailable"):
        VolumeReader(retries=Retries(retries=1, pause_s=0.01, longest_wait_s=0.1)).open(
            "http://127.0.0.1:9/image"
        )


def test_chunks_that_are_compressed_as_files_are_not_taken_for_missing(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "image", tmp_path / "image")
    chunk = tmp_path / "image" / "4_4_40" / "0-16_0-16_1-2"
    chunk.rename(chunk.with_name(f"{chunk.name}.gz"))
    with pytest.raises(VolumeError, match=r"image has chunks compressed as \.gz"):
        read(str(tmp_path / "image"), Box(1, 0, 0, 8, 8), fill_missing=True)
