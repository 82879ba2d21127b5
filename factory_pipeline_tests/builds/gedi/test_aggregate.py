import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.builds.gedi import aggregate
from factory_pipeline.builds.gedi.aggregate import aggregate_granules, read_aggregation, unread_granules
from factory_pipeline.builds.gedi.granule_manifest import manifest_path
from factory_pipeline.builds.gedi.quality import filter_footprints
from factory_pipeline.config.recipe import Footprints, Recipe
from factory_pipeline.errors import GranuleError
from factory_pipeline.storage.build_files import BuildFiles
from factory_pipeline_tests.builds.gedi.factories import NAME_2020, NAME_2021, beam, write_granule


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    return tmp_path / "inbox"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_real_granules_give_a_table_each(real_granules: Path, store: Path) -> None:
    told: list[str] = []
    aggregation = aggregate_granules(str(real_granules), store, on_granule=told.append)
    assert aggregation.granules == {NAME_2020: 461, NAME_2021: 966}
    assert aggregation.footprints == 1427
    assert not aggregation.set_aside
    assert [pl.read_parquet(path).height for path in aggregation.files] == [461, 966]
    # They are read side by side; the one that is done first is told first.
    assert sorted(line.partition(" (")[0] for line in told) == [
        f"{NAME_2020}: 461 footprints.",
        f"{NAME_2021}: 966 footprints.",
    ]
    assert [line.rpartition(" (")[2] for line in told] == ["1 of 2)", "2 of 2)"]


def test_a_granule_is_read_once_whatever_arrives_later(inbox: Path, store: Path) -> None:
    write_granule(inbox, NAME_2020)
    assert aggregate_granules(str(inbox), store).read == (NAME_2020,)
    assert aggregate_granules(str(inbox), store).read == ()
    write_granule(inbox, NAME_2021, BEAM0000=beam(3))
    assert [granule.name for granule in unread_granules(str(inbox), store)] == [NAME_2021]
    later = aggregate_granules(str(inbox), store)
    assert later.read == (NAME_2021,)
    assert later.granules == {NAME_2020: 5, NAME_2021: 3}


def test_a_granule_whose_size_or_time_changed_is_read_again(inbox: Path, store: Path) -> None:
    path = write_granule(inbox)
    aggregate_granules(str(inbox), store)
    os.utime(path, ns=(1, 1))
    assert aggregate_granules(str(inbox), store).read == (NAME_2020,)
    write_granule(inbox, BEAM0000=beam(9000))
    os.utime(path, ns=(1, 1))
    assert aggregate_granules(str(inbox), store).granules == {NAME_2020: 9000}


def test_a_lost_table_is_made_again(inbox: Path, store: Path) -> None:
    write_granule(inbox)
    (table,) = aggregate_granules(str(inbox), store).files
    content = table.read_bytes()
    table.unlink()
    assert aggregate_granules(str(inbox), store).read == (NAME_2020,)
    assert table.read_bytes() == content


def test_a_new_field_is_read_from_all_granules(inbox: Path, store: Path) -> None:
    write_granule(inbox, BEAM0000=beam(sensitivity=[0.9] * 5))
    aggregate_granules(str(inbox), store)
    asked = aggregate_granules(str(inbox), store, ["sensitivity"])
    assert asked.read == (NAME_2020,)
    assert pl.read_parquet(asked.files[0])["sensitivity"].to_list() == [0.9] * 5
    assert aggregate_granules(str(inbox), store).read == ()


def test_what_left_the_source_is_still_known(inbox: Path, store: Path) -> None:
    path = write_granule(inbox, NAME_2020)
    write_granule(inbox, NAME_2021)
    aggregate_granules(str(inbox), store)
    path.unlink()
    assert aggregate_granules(str(inbox), store).granules == {NAME_2020: 5, NAME_2021: 5}
    asked = aggregate_granules(str(inbox), store, ["agbd", "no_such_field"])
    assert not asked.granules
    assert "no longer in the source" in asked.set_aside[NAME_2020]


def test_bad_granules_are_set_aside_and_the_others_go_on(inbox: Path, store: Path) -> None:
    write_granule(inbox, NAME_2020)
    broken = write_granule(inbox, NAME_2021, BEAM0000=beam(agbd_se=None))
    (inbox / "notes.h5").write_text("no granule")
    aggregation = aggregate_granules(str(inbox), store)
    assert aggregation.granules == {NAME_2020: 5}
    assert "agbd_se is missing in BEAM0000" in aggregation.set_aside[NAME_2021]
    assert "is not named like" in aggregation.set_aside["notes.h5"]
    assert aggregate_granules(str(inbox), store).read == ()
    write_granule(inbox, NAME_2021)
    os.utime(broken, ns=(1, 1))
    (inbox / "notes.h5").unlink()
    mended = aggregate_granules(str(inbox), store)
    assert mended.granules == {NAME_2020: 5, NAME_2021: 5}
    assert not mended.set_aside


def test_a_good_granule_that_turned_bad_leaves_no_table(inbox: Path, store: Path) -> None:
    path = write_granule(inbox)
    (table,) = aggregate_granules(str(inbox), store).files
    path.write_bytes(path.read_bytes()[:-10])
    aggregation = aggregate_granules(str(inbox), store)
    assert "truncated" in aggregation.set_aside[NAME_2020]
    assert not aggregation.files
    assert not table.exists()


@pytest.mark.integration
def test_processes_give_the_same_bytes(
    real_granules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = aggregate_granules(str(real_granules), tmp_path / "alone", workers=1)
    monkeypatch.setattr(aggregate, "WORTH_A_PROCESS", 1)
    together = aggregate_granules(str(real_granules), tmp_path / "together", workers=2)
    assert [path.read_bytes() for path in alone.files] == [path.read_bytes() for path in together.files]
    manifests = [manifest_path(tmp_path / name).read_bytes() for name in ("alone", "together")]
    assert manifests[0] == manifests[1]


def test_a_run_that_dies_keeps_what_it_read(inbox: Path, store: Path) -> None:
    write_granule(inbox, NAME_2020)
    write_granule(inbox, NAME_2021)

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        aggregate_granules(str(inbox), store, workers=1, on_granule=interrupt)
    assert aggregate_granules(str(inbox), store).read == (NAME_2021,)


def test_the_store_can_be_looked_up_without_the_source(inbox: Path, store: Path) -> None:
    assert read_aggregation(store).files == ()
    write_granule(inbox)
    aggregated = aggregate_granules(str(inbox), store)
    assert read_aggregation(store).files == aggregated.files
    assert read_aggregation(store, ["sensitivity"]).files == ()


def test_an_empty_folder_is_an_error(inbox: Path, store: Path) -> None:
    inbox.mkdir()
    with pytest.raises(GranuleError, match="holds no granule"):
        aggregate_granules(str(inbox), store)


def test_a_manifest_of_something_else_is_not_overwritten(inbox: Path, store: Path) -> None:
    write_granule(inbox)
    store.mkdir()
    manifest_path(store).write_text('{"format": 99}')
    with pytest.raises(GranuleError, match="format 99 is not 1"):
        aggregate_granules(str(inbox), store)
    assert manifest_path(store).read_text() == '{"format": 99}'


RULES = ("l4_quality_flag", "agbd")
NEWER = NAME_2020.replace("_002_01_V002", "_002_02_V002")


def test_a_field_that_no_rule_uses_need_not_be_there(inbox: Path, store: Path) -> None:
    write_granule(inbox, NAME_2020, BEAM0000=beam(l2_quality_flag=None, surface_flag=None))
    assert aggregate_granules(str(inbox), store, needed=RULES).granules == {NAME_2020: 5}
    # A rule that needs it later sets the granule aside, without reading it again.
    later = aggregate_granules(str(inbox), store, needed=(*RULES, "surface_flag"))
    assert not later.granules
    assert not later.read
    assert "surface_flag is missing" in later.set_aside[NAME_2020]


def test_extra_fields_that_some_granules_lack_pass_the_filter(
    inbox: Path, store: Path, tmp_path: Path
) -> None:
    write_granule(inbox, NAME_2020)
    write_granule(inbox, NAME_2021, BEAM0000=beam(3, first_shot=9, sensitivity=np.full(3, 0.9)))
    aggregation = aggregate_granules(str(inbox), store, ["sensitivity"], needed=RULES)
    recipe = Recipe(footprints=Footprints(extra_fields=("sensitivity",)))
    counts = filter_footprints(aggregation.files, recipe, BuildFiles(tmp_path / "out"))
    assert counts.kept == {"train": 8, "test": 0}
    kept = pl.read_parquet(BuildFiles(tmp_path / "out").quality("train"))
    assert kept["sensitivity"].to_list() == [None] * 5 + [0.9] * 3


def test_the_newest_production_replaces_the_older_as_a_whole(inbox: Path, store: Path) -> None:
    write_granule(inbox, NAME_2020)
    assert aggregate_granules(str(inbox), store).granules == {NAME_2020: 5}
    write_granule(inbox, NEWER, BEAM0101=beam(l4_quality_flag=np.array([1, 0, 1, 1, 1], np.uint8)))
    aggregation = aggregate_granules(str(inbox), store)
    assert aggregation.granules == {NEWER: 5}
    assert aggregation.replaced == {NAME_2020: NEWER}
    assert [path.stem for path in aggregation.files] == [NEWER.removesuffix(".h5")]
    # The older alone counts again only where the newer can't be used.
    (inbox / NEWER).write_bytes(b"no granule")
    aggregation = aggregate_granules(str(inbox), store)
    assert aggregation.granules == {NAME_2020: 5}
    assert list(aggregation.set_aside) == [NEWER]
    assert not aggregation.replaced


def test_one_granule_under_two_endings_counts_once(inbox: Path, store: Path) -> None:
    write_granule(inbox, NAME_2020)
    write_granule(inbox, NAME_2020.replace(".h5", ".H5"))
    assert aggregate_granules(str(inbox), store).footprints == 5


def test_a_passing_fault_is_tried_again_at_once(
    inbox: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_granule(inbox)
    monkeypatch.setattr(aggregate, "PAUSES_S", (0.0, 0.0))
    answers = iter([OSError(errno.EIO, "x"), BlockingIOError(errno.EAGAIN, "x")])
    opened = h5py.File

    def open_later(*arguments: Any, **options: Any) -> h5py.File:
        if error := next(answers, None):
            raise error
        return opened(*arguments, **options)

    monkeypatch.setattr(h5py, "File", open_later)
    assert aggregate_granules(str(inbox), store).granules == {NAME_2020: 5}


def test_a_locked_granule_is_named_and_not_remembered_as_damaged(
    inbox: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_granule(inbox)
    write_granule(inbox, NAME_2021)
    monkeypatch.setattr(aggregate, "PAUSES_S", (0.0,))
    with path.open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        locked = aggregate_granules(str(inbox), store)
    assert list(locked.unavailable) == [NAME_2020]
    assert locked.granules == {NAME_2021: 5}
    assert aggregate_granules(str(inbox), store).granules == {NAME_2020: 5, NAME_2021: 5}


def test_damage_that_an_earlier_software_remembered_is_looked_at_again(inbox: Path, store: Path) -> None:
    path = write_granule(inbox)
    state = path.stat()
    store.mkdir()
    record = {
        "size": state.st_size,
        "version": str(state.st_mtime_ns),
        "extra_fields": [],
        "rows": None,
        "reason": "The granule is damaged: unable to lock file, errno = 11.",
    }
    manifest_path(store).write_text(json.dumps({"format": 1, "granules": {path.name: record}}))
    assert aggregate_granules(str(inbox), store).granules == {NAME_2020: 5}


def test_what_left_the_source_and_what_is_not_read_is_told(inbox: Path, store: Path) -> None:
    path = write_granule(inbox, NAME_2020)
    write_granule(inbox, NAME_2021)
    write_granule(inbox / "later")
    aggregate_granules(str(inbox), store)
    path.unlink()
    aggregate_granules(str(inbox), store)
    known = read_aggregation(store)
    assert known.gone == (NAME_2020,)
    assert list(known.ignored) == ["later/"]
