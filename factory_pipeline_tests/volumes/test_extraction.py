"""Sections are cut once each, part by part; what a killed run has finished is not cut again."""

from collections.abc import Callable
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.volumes import extraction
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.extraction import (
    AS_SRC,
    AS_TGT,
    FIELDS,
    IMAGES,
    Extraction,
    SectionRecord,
    SectionTask,
    cut_sections,
    part_path,
    plan_sections,
    read_moves,
)
from factory_pipeline.volumes.pair_files import MAIN, create_images
from factory_pipeline.volumes.sections import NO_PIXEL, NO_VECTOR
from factory_pipeline.volumes.sources import Sources, open_sources
from factory_pipeline.volumes.spec import PairSpec
from factory_pipeline.volumes.volume import VolumeReader
from factory_pipeline_tests.volumes.factories import spec_of, texture, write_volume

SHAPE = (32, 32, 4)
SIDE = 8
IMAGE = texture(SHAPE)
IMAGE[..., 3] = 0
CHUNK = (16, 8, 2)


@pytest.fixture(scope="module")
def without_field(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder = tmp_path_factory.mktemp("extraction")
    return opened(write_volume(folder / "image", {0: IMAGE}, chunk=CHUNK))


@pytest.fixture(scope="module")
def with_field(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Vectors of 2.5 along y and -3.5 along x, and none in section 1."""
    folder = tmp_path_factory.mktemp("extraction")
    vectors = np.broadcast_to(np.array([2.5, -3.5], np.float32), (*SHAPE, 2)).copy()
    vectors[:, :, 1] = np.nan
    field = {"path": write_volume(folder / "field", {0: vectors}), "src_mip": 0}
    return opened(write_volume(folder / "image", {0: IMAGE}, chunk=CHUNK), field=field)


def opened(image: str, **changes: Any) -> Sources:
    return open_sources(PairSpec.model_validate(spec_of(image, **changes)), VolumeReader())


def box(x: int, y: int, z: int) -> Box:
    return Box(z, y, x, SIDE, SIDE)


def work_of(sources: Sources, tasks: list[SectionTask], shape: tuple[int, int] = (SIDE, SIDE)) -> Extraction:
    return Extraction(
        sources,
        tasks,
        mip=0,
        shape=shape,
        normalise=False,
        resampling="bilinear",
        create_images=lambda group, count: create_images(group, count, shape),
    )


def both(*boxes: Box) -> list[SectionTask]:
    return [SectionTask(each, True, True) for each in boxes]


def pixels(x: int, y: int, z: int) -> np.ndarray:
    return IMAGE[x : x + SIDE, y : y + SIDE, z].astype(np.float32)


@pytest.fixture
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def tell(told: list[tuple[int, int]]) -> Callable[[int, int], None]:
    return lambda done, total: told.append((done, total))


places = st.builds(box, st.integers(0, 24), st.integers(0, 24), st.integers(0, 3))


@given(st.lists(st.tuples(places, places), max_size=12))
def test_each_box_is_cut_once_beside_those_of_its_chunk(
    without_field: Sources, pairs: list[tuple[Box, Box]]
) -> None:
    tasks = plan_sections(pairs, without_field)
    assert len({task.box for task in tasks}) == len(tasks)
    assert {task.box for task in tasks if task.as_src} == {src for src, _ in pairs}
    assert {task.box for task in tasks if task.as_tgt} == {tgt for _, tgt in pairs}
    assert all(task.as_src or task.as_tgt for task in tasks)
    across, down, deep = CHUNK
    chunks = [(task.box.x // across, task.box.y // down, task.box.z // deep) for task in tasks]
    assert len([*groupby(chunks)]) == len(set(chunks))
    assert plan_sections(pairs[::-1], without_field) == tasks


@given(st.integers(0, 40), st.integers(1, 5000))
def test_parts_have_every_section_once_and_fit_into_memory(
    without_field: Sources, with_field: Sources, count: int, side: int
) -> None:
    tasks = both(box(0, 0, 0)) * count
    for sources, arrays in ((without_field, 1), (with_field, 4)):
        work = work_of(sources, tasks, (side, side))
        parts = work.parts()
        assert [*chain(*parts)] == list(range(count))
        assert all(len(part) == work.part_size for part in parts[:-1])
        assert work.part_size == 1 or work.part_size * side * side * 4 * arrays <= extraction.PART_BYTES


def test_without_a_field_sections_are_cut_where_they_are(
    without_field: Sources, tmp_path: Path, told: list[tuple[int, int]], tell: Callable[[int, int], None]
) -> None:
    work = work_of(without_field, both(box(1, 2, 0), box(9, 3, 1), box(0, 0, 3)))
    assert read_moves(work, tmp_path, 1, tell) == [(0, 0)] * 3
    assert not list(tmp_path.iterdir()), "there is nothing to read"
    records = cut_sections(work, tmp_path, 1, tell)
    assert records == [SectionRecord(), SectionRecord(), SectionRecord(NO_PIXEL, black=1.0)]
    assert told == [(1, 3), (2, 3), (3, 3)]
    with h5py.File(part_path(tmp_path, range(3))) as part:
        assert FIELDS not in part
        images = part[IMAGES][MAIN]
        np.testing.assert_array_equal(images[0, AS_SRC], pixels(1, 2, 0))
        np.testing.assert_array_equal(images[1, AS_SRC], pixels(9, 3, 1))


def test_a_killed_run_goes_on_behind_its_last_part(
    without_field: Sources,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: list[tuple[int, int]],
    tell: Callable[[int, int], None],
) -> None:
    monkeypatch.setattr(extraction, "PART_BYTES", 2 * SIDE * SIDE * 4)
    work = work_of(without_field, both(*(box(x, 0, 0) for x in range(5))))
    assert work.parts() == [range(2), range(2, 4), range(4, 5)]
    cut_sections(work, tmp_path, 1, tell, [range(2, 4)])
    assert told == [(1, 2), (2, 2)]
    kept = part_path(tmp_path, range(2, 4))
    before = kept.stat().st_mtime_ns
    told.clear()
    records = cut_sections(work, tmp_path, 2, tell)
    assert told == [(3, 5), (4, 5), (5, 5)], "two were there"
    assert kept.stat().st_mtime_ns == before
    assert records == [SectionRecord()] * 5
    told.clear()
    assert cut_sections(work, tmp_path, 1, tell) == records
    assert told == []
    for number, part in enumerate(work.parts()):
        with h5py.File(part_path(tmp_path, part)) as file:
            for row, task in enumerate(part):
                np.testing.assert_array_equal(
                    file[IMAGES][MAIN][row, AS_SRC], pixels(task, 0, 0), str(number)
                )


def test_a_section_is_read_where_the_whole_pixels_of_its_field_point(
    with_field: Sources, tmp_path: Path, told: list[tuple[int, int]], tell: Callable[[int, int], None]
) -> None:
    boxes = [box(10, 10, 0), box(10, 10, 1), box(10, 10, 2)]
    tasks = [SectionTask(boxes[0], True, False), SectionTask(boxes[1], True, True)]
    work = work_of(with_field, [*tasks, SectionTask(boxes[2], False, True)])
    assert read_moves(work, tmp_path, 2, tell) == [(-4, 2), None, (-4, 2)]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert read_moves(work, tmp_path, 2, tell) == [(-4, 2), None, (-4, 2)], "as they were kept"
    assert len(told) == 3
    moved = SectionRecord(moved=(-4, 2))
    assert cut_sections(work, tmp_path, 2, tell) == [moved, SectionRecord(NO_VECTOR), moved]
    with h5py.File(part_path(tmp_path, range(3))) as part:
        images, fields = part[IMAGES][MAIN], part[FIELDS][MAIN]
        np.testing.assert_array_equal(images[0, AS_SRC], pixels(6, 12, 0))
        np.testing.assert_allclose(fields[0], 0.5, atol=0.01)
        assert not images[0, AS_TGT].any(), "no pair has it as tgt"
        assert not images[2, AS_SRC].any()
        assert not fields[2].any()
        # Warped by half a pixel along both axes.
        expected = IMAGE[:, :, 2].astype(np.float64)
        x, y = 6 + 3, 12 + 3
        assert images[2, AS_TGT, 3, 3] == pytest.approx(expected[x : x + 2, y : y + 2].mean(), abs=0.01)
