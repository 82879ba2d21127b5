import errno
import fcntl
from datetime import UTC, date, datetime
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.builds.gedi.granule_names import GRANULE_PATTERN, parse_granule_name
from factory_pipeline.builds.gedi.granules import (
    FOOTPRINT_SCHEMA,
    GEDI_EPOCH,
    GranuleFile,
    calendar_day,
    exact_time,
    list_granules,
    list_source,
    read_granule,
)
from factory_pipeline.errors import GranuleError, GranuleUnavailableError
from factory_pipeline_tests.builds.gedi.factories import NAME_2020, NAME_2021, beam, write_granule


def only_granule(folder: Path) -> GranuleFile:
    (granule,) = list_granules(str(folder))
    return granule


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_name_tells_time_orbit_and_track(suffix: str) -> None:
    name = parse_granule_name("GEDI04_A_2020366235959_O06515_02_T00198_02_002_01_V002" + suffix)
    assert name.acquired == datetime(2020, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert (name.orbit, name.part, name.track, name.version) == (6515, 2, 198, "002")


@pytest.mark.parametrize(
    "name",
    [
        "GEDI02_A_2020036151358_O06515_02_T00198_02_002_01_V002.h5",
        "GEDI04_A_2020036151358_O06515_02_T00198_03_002_01_V002.h5",
        "GEDI04_A_2021366000000_O06515_02_T00198_02_002_01_V002.h5",
        "GEDI04_A_2020036251358_O06515_02_T00198_02_002_01_V002.h5",
        "granule.h5",
    ],
)
def test_other_names_are_refused_with_the_pattern(name: str) -> None:
    with pytest.raises(GranuleError) as refusal:
        parse_granule_name(name)
    assert name in str(refusal.value)
    assert GRANULE_PATTERN in str(refusal.value)


def test_listing_is_ordered_by_name_and_stays_in_the_folder(tmp_path: Path) -> None:
    write_granule(tmp_path, NAME_2021)
    path = write_granule(tmp_path, NAME_2020)
    write_granule(tmp_path / "deeper")
    (tmp_path / ".hidden.h5").touch()
    (tmp_path / "notes.txt").touch()
    listed = list_granules(str(tmp_path))
    assert [granule.name for granule in listed] == [NAME_2020, NAME_2021]
    assert listed[0].size == path.stat().st_size


def test_empty_and_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(GranuleError, match=r"holds no granule .*GEDI04_A_YYYYDDDHHMMSS"):
        list_granules(str(tmp_path))
    with pytest.raises(GranuleError, match="nowhere does not exist"):
        list_granules(str(tmp_path / "nowhere"))


def test_beams_are_read_in_order_with_the_contract_columns(tmp_path: Path) -> None:
    write_granule(
        tmp_path, BEAM1011=beam(3, first_shot=200), BEAM0000=beam(2, first_shot=100), BEAM0001=beam(0)
    )
    read = read_granule(only_granule(tmp_path))
    assert read.schema == pl.Schema(FOOTPRINT_SCHEMA)
    assert read["shot_number"].to_list() == [100, 101, 200, 201, 202]
    assert read["beam"].to_list() == ["BEAM0000"] * 2 + ["BEAM1011"] * 3
    assert read["granule"].unique().to_list() == [NAME_2020.removesuffix(".h5")]


def test_real_granules_are_read_exactly(real_granules: Path) -> None:
    granules = list_granules(str(real_granules))
    tables = [read_granule(granule) for granule in granules]
    assert [table.height for table in tables] == [461, 966]
    for granule, table in zip(granules, tables, strict=True):
        with h5py.File(real_granules / granule.name) as file:
            for name in ("delta_time", "lat_lowestmode", "agbd", "shot_number"):
                stored = np.concatenate(
                    [file[f"{group}/{name}"][:] for group in table["beam"].unique().sort()]
                )
                read = table[name].to_numpy()
                assert read.tobytes() == stored.tobytes()


def test_extra_fields_follow_in_their_own_dtypes(real_granules: Path) -> None:
    granule = list_granules(str(real_granules))[0]
    fields = ("sensitivity", "land_cover_data/landsat_treecover", "predict_stratum", "beam")
    read = read_granule(granule, fields)
    assert read.columns == [*FOOTPRINT_SCHEMA, *fields[:3]]
    assert [read[name].dtype for name in fields[:3]] == [pl.Float32, pl.Float64, pl.String]


def test_shot_numbers_keep_all_their_digits(tmp_path: Path) -> None:
    write_granule(tmp_path, BEAM0000=beam(2, first_shot=2**63 - 2))
    assert read_granule(only_granule(tmp_path))["shot_number"].to_list() == [2**63 - 2, 2**63 - 1]


BAD_BEAMS = {
    "missing field": (beam(agbd_se=None), "agbd_se is missing in BEAM0101"),
    "unequal lengths": (beam(agbd=np.ones(4, np.float32)), "agbd in BEAM0101 of .* has 4 values for 5 shots"),
    "two columns": (beam(agbd=np.ones((5, 2))), r"shape \(5, 2\)"),
    "shot number too great": (beam(first_shot=2**63 - 2), "shot_number in BEAM0101 .* no Int64"),
    "shot number in floats": (beam(shot_number=np.ones(5)), "must hold integers, not float64"),
    "flag out of range": (beam(surface_flag=np.full(5, -1, np.int8)), "surface_flag .* no UInt8"),
}


@pytest.mark.parametrize("case", BAD_BEAMS)
def test_a_bad_beam_is_explained(tmp_path: Path, case: str) -> None:
    fields, reason = BAD_BEAMS[case]
    write_granule(tmp_path, BEAM0000=beam(), BEAM0101=fields)
    with pytest.raises(GranuleError, match=reason) as refusal:
        read_granule(only_granule(tmp_path))
    assert NAME_2020 in str(refusal.value)


def test_a_file_that_is_no_granule_is_explained(tmp_path: Path) -> None:
    path = write_granule(tmp_path, BEAM0101=beam(2000))
    whole = path.read_bytes()
    for content, reason in [
        (whole[: len(whole) // 2], f"truncated after {len(whole) // 2} bytes"),
        (b"a web page that says that you must log in", "is not an HDF5 file"),
        (b"", "is empty"),
    ]:
        path.write_bytes(content)
        with pytest.raises(GranuleError, match=reason):
            read_granule(only_granule(tmp_path))
    with h5py.File(path, "w") as file:
        file.create_group("METADATA")
    with pytest.raises(GranuleError, match="holds no beam"):
        read_granule(only_granule(tmp_path))


def test_a_damaged_chunk_is_explained(tmp_path: Path) -> None:
    path = write_granule(tmp_path, BEAM0101=beam(agbd=None))
    with h5py.File(path, "a") as file:
        dataset = file.create_dataset("BEAM0101/agbd", data=np.arange(5.0), chunks=(5,), compression="gzip")
        where = dataset.id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[where.byte_offset : where.byte_offset + where.size] = b"\xff" * where.size
    path.write_bytes(content)
    with pytest.raises(GranuleError, match=f"{NAME_2020} is damaged"):
        read_granule(only_granule(tmp_path))


def test_a_granule_that_has_just_gone_may_come_back(tmp_path: Path) -> None:
    path = write_granule(tmp_path)
    granule = only_granule(tmp_path)
    path.unlink()
    with pytest.raises(GranuleUnavailableError, match=NAME_2020):
        read_granule(granule)


@given(st.integers(0, 3_000 * 86_400 - 1), st.floats(0, 0.999999))
def test_the_calendar_day_is_that_of_the_exact_time(whole: int, fraction: float) -> None:
    delta_time = whole + round(fraction, 6)
    day = pl.select(calendar_day(pl.lit(delta_time))).item()
    assert day == exact_time(delta_time).date()


def test_the_last_moment_of_a_leap_year_is_its_day_366() -> None:
    midnight = (date(2021, 1, 1) - GEDI_EPOCH.date()).days * 86_400.0
    moments = pl.DataFrame({"t": [np.nextafter(midnight, 0), midnight, float("nan"), float("inf"), None]})
    days = moments.select(calendar_day(pl.col("t"))).to_series().to_list()
    assert days == [date(2020, 12, 31), date(2021, 1, 1), None, None, None]
    assert days[0].timetuple().tm_yday == 366


RELEASE_3 = "GEDI04_A_2020036151358_O06515_02_T00198_02_003_01_V003.h5"


def test_v003_names_of_the_flags_are_read_as_those_of_v002(tmp_path: Path) -> None:
    fields = beam(l2_quality_flag=None, l4_quality_flag=None)
    fields |= {"l2a_quality_flag_rel3": np.arange(5) % 2, "l4a_quality_flag_rel3": np.arange(5) % 3}
    write_granule(tmp_path, RELEASE_3, BEAM0101={name: np.asarray(field) for name, field in fields.items()})
    read = read_granule(only_granule(tmp_path))
    assert read.schema == pl.Schema(FOOTPRINT_SCHEMA)
    assert read["l2_quality_flag"].to_list() == [0, 1, 0, 1, 0]
    assert read["l4_quality_flag"].to_list() == [0, 1, 2, 0, 1]


def test_a_v003_granule_with_the_earlier_names_is_read_by_them(tmp_path: Path) -> None:
    write_granule(tmp_path, RELEASE_3)
    assert read_granule(only_granule(tmp_path))["l4_quality_flag"].to_list() == [1] * 5


def test_a_field_that_is_not_there_is_null(tmp_path: Path) -> None:
    write_granule(tmp_path, BEAM0000=beam(2), BEAM0101=beam(3, surface_flag=None))
    read = read_granule(only_granule(tmp_path), ["sensitivity"])
    assert read["surface_flag"].to_list() == [1, 1, None, None, None]
    assert read["sensitivity"].null_count() == 5


@pytest.mark.parametrize("ending", [".h5", ".H5", ".hdf5", ".HDF5"])
def test_endings_in_use_are_granules_whose_name_has_no_ending(tmp_path: Path, ending: str) -> None:
    write_granule(tmp_path, NAME_2020.removesuffix(".h5") + ending)
    read = read_granule(only_granule(tmp_path))
    assert read["granule"].unique().to_list() == [NAME_2020.removesuffix(".h5")]


def test_granules_in_sub_folders_are_told_and_not_read(tmp_path: Path) -> None:
    write_granule(tmp_path)
    write_granule(tmp_path / "more" / "deep", NAME_2021)
    (tmp_path / "notes").mkdir()
    listing = list_source(str(tmp_path))
    assert [granule.name for granule in listing.granules] == [NAME_2020]
    assert list(listing.ignored) == ["more/"]
    assert "1 such file" in listing.ignored["more/"]


SYSTEM_ERRORS = [
    "EAGAIN",
    "EIO",
    "EMFILE",
    "ENFILE",
    "ESTALE",
    "ETIMEDOUT",
    "EINTR",
    "EACCES",
    "EPERM",
    "ENOENT",
    "EBUSY",
    "ENOLCK",
    "EREMOTEIO",
    "ECONNRESET",
    "ENETUNREACH",
    "EHOSTDOWN",
    "ENOMEM",
    "ENODEV",
    "ENOTCONN",
]


@pytest.mark.parametrize("number", SYSTEM_ERRORS)
@pytest.mark.parametrize("in_words", [False, True])
def test_an_error_of_the_system_is_never_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, in_words: bool
) -> None:
    write_granule(tmp_path)
    code = getattr(errno, number)
    words = f"Can't read data (file read failed: errno = {code}, error message = 'something')"

    def refuse(*_: object, **__: object) -> None:
        raise OSError(words) if in_words else OSError(code, "something")

    granule = only_granule(tmp_path)
    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(GranuleUnavailableError, match=f"{NAME_2020} can't be read now: "):
        read_granule(granule)


def test_a_granule_that_is_locked_is_not_damaged(tmp_path: Path) -> None:
    path = write_granule(tmp_path)
    with path.open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(GranuleUnavailableError, match="can't be read now"):
            read_granule(only_granule(tmp_path))
    assert read_granule(only_granule(tmp_path)).height == 5


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("02_002_01_V002", "02_002_02_V002"),
        ("02_002_09_V002", "02_002_10_V002"),
        ("02_002_02_V002", "02_003_01_V002"),
        ("02_003_02_V002", "02_001_01_V003"),
    ],
)
def test_productions_of_a_granule_are_ordered(older: str, newer: str) -> None:
    start = NAME_2020.partition("02_002")[0]
    one, other = (parse_granule_name(start + end) for end in (older, newer))
    assert one.acquisition == other.acquisition
    assert one.rank < other.rank
