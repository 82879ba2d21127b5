"""A short campaign; `python -m factory_pipeline_tests.campaign` is a long one."""

from itertools import count
from pathlib import Path

import pytest

from factory_pipeline_tests.campaign.__main__ import bench_in, shown, try_all
from factory_pipeline_tests.campaign.contents import contents_of, differences
from factory_pipeline_tests.campaign.faults import BESIDE, CLOCK, DISK, KILLED, OF_SERVER, READ_ONLY
from factory_pipeline_tests.campaign.works import WORKS

pytestmark = pytest.mark.integration

CHEAP = ("import", "version")
KINDS = (KILLED, *OF_SERVER, DISK, READ_ONLY, CLOCK, BESIDE)
"""Without those that need a registry on a server."""


def test_twenty_faults_lose_nothing(tmp_path: Path, small_archive: Path) -> None:
    works = [work for work in WORKS if work.name in CHEAP]
    with bench_in(tmp_path, small_archive, with_postgres=False) as bench:
        result = try_all(bench, count(), 20, KINDS, works)
    assert not result.failed, result.failed
    assert result.table.total() >= 20
    assert shown(result.table).count("\n") >= 8, "kinds of faults, by lines of the table"


def test_what_differs_is_named(tmp_path: Path) -> None:
    output, home = tmp_path / "out", tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    output.mkdir()
    (output / "a.json").write_text('{"id": "4f5a87db115c4706a71debb29d75b37c", "at": "2026-11-29T13:41:14Z"}')
    (output / "b.h5").write_bytes(b"one")
    expected = contents_of(tmp_path, None)
    (output / "a.json").write_text('{"id": "db173107487c4da09fdfed523982142f", "at": "2026-11-30T13:41:14Z"}')
    (home / "dagster" / "run.db").touch()
    assert contents_of(tmp_path, None) == expected
    (output / "b.h5").write_bytes(b"two")
    (output / ".c.12ab.part.h5").touch()
    told = differences(contents_of(tmp_path, None), expected)
    assert told == ["out/.c.12ab.part.h5 is too much", "out/b.h5 is different"]
    assert differences({}, expected) == ["out/a.json is missing", "out/b.h5 is missing"]
