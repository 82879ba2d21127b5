import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.builds.gedi import object_store
from factory_pipeline.builds.gedi.aggregate import aggregate_granules
from factory_pipeline.builds.gedi.granules import list_granules, read_granule
from factory_pipeline.errors import GranuleError, GranuleUnavailableError
from factory_pipeline_tests.builds.gedi.conftest import S3Server
from factory_pipeline_tests.builds.gedi.factories import NAME_2020, beam, write_granule
from factory_pipeline_tests.examples import up_to

pytestmark = pytest.mark.integration

PREFIX = "s3://granules/l4a/"


def test_a_granule_in_an_object_store_is_read_as_a_local_one(s3: S3Server) -> None:
    folder = s3.folder / "l4a"
    path = write_granule(folder, BEAM0000=beam(200_000))
    (granule,) = list_granules(PREFIX)
    assert (granule.name, granule.size) == (NAME_2020, path.stat().st_size)
    read = read_granule(granule)
    assert read.equals(read_granule(list_granules(str(folder))[0]))
    assert Counter(s3.requests)[NAME_2020] <= -(-granule.size // object_store.BLOCK_SIZE)


def test_an_unchanged_object_is_not_fetched_again(s3: S3Server, tmp_path: Path) -> None:
    path = write_granule(s3.folder / "l4a")
    assert aggregate_granules(PREFIX, tmp_path / "store").granules == {NAME_2020: 5}
    s3.requests.clear()
    assert aggregate_granules(PREFIX, tmp_path / "store").read == ()
    assert not s3.requests
    os.utime(path, ns=(1, 1))
    assert aggregate_granules(PREFIX, tmp_path / "store").read == (NAME_2020,)


def test_an_object_that_was_out_of_reach_is_tried_again(s3: S3Server, tmp_path: Path) -> None:
    write_granule(s3.folder / "l4a")
    s3.broken = True
    aggregation = aggregate_granules(PREFIX, tmp_path / "store")
    assert "can't be fetched" in aggregation.set_aside[NAME_2020]
    assert "://" not in aggregation.set_aside[NAME_2020]
    s3.broken = False
    assert aggregate_granules(PREFIX, tmp_path / "store").granules == {NAME_2020: 5}


@pytest.mark.usefixtures("s3")
def test_an_empty_prefix_is_named_without_its_secrets() -> None:
    with pytest.raises(GranuleError, match=r"prefix s3://granules/l4a/ holds no granule"):
        list_granules(PREFIX)
    assert (
        object_store.display("https://me:secret@host/data?sig=secret")
        == "The object-store prefix https://host/data"
    )


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(GranuleUnavailableError, match="nonsense://place can't be listed"):
        list_granules("nonsense://place")


@settings(max_examples=up_to(30), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3000)), max_size=8))
def test_a_range_file_reads_as_a_file_does(
    tmp_path_factory: pytest.TempPathFactory, reads: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    content = np.random.default_rng(1).bytes(4321)
    (folder / "granule.h5").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_store, "BLOCK_SIZE", 1000)
        file = object_store.RangeFile(folder.as_uri(), "granule.h5", len(content))
        for offset, length in reads:
            file.seek(offset)
            assert file.read(length) == content[offset : offset + length]
        assert file.seek(-1, io.SEEK_END) == 4320
