"""The files of pairs are what the parts of an extraction hold, in the order of the pairs that are kept."""

import json
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.errors import PairFileError
from factory_pipeline.volumes import extraction, publication
from factory_pipeline.volumes.extraction import Extraction, SectionRecord, cut_sections, plan_sections
from factory_pipeline.volumes.pair_files import MAIN, WORK, create_images
from factory_pipeline.volumes.pair_order import order_pairs
from factory_pipeline.volumes.publication import (
    TABLE_SCHEMA,
    PairPaths,
    copy_images,
    publish_pairs,
    write_table,
)
from factory_pipeline.volumes.sources import open_sources
from factory_pipeline.volumes.spec import PairSpec
from factory_pipeline.volumes.volume import VolumeReader
from factory_pipeline_tests.volumes.factories import pair, spec_of, texture, write_volume

SIDE = 8
SHAPE = (40, 24, 3)
IMAGE = texture(SHAPE)
IMAGE[16:24] = 0
"""Black where the third pair is."""
PLACES = [((0, 0, 1), (0, 0, 0)), ((0, 0, 1), (0, 0, 2)), ((16, 0, 1), (16, 0, 0)), ((32, 8, 1), (32, 8, 2))]


class Cut:
    """A spec whose sections are cut."""

    def __init__(self, folder: Path, places: list[tuple[tuple[int, int, int], ...]]) -> None:
        path = write_volume(folder / "image", {0: IMAGE})
        pairs = [pair(src, tgt) for src, tgt in places]
        self.document = spec_of(path, x_size=SIDE, y_size=SIDE, pairs=pairs)
        self.spec = PairSpec.model_validate(self.document)
        sources = open_sources(self.spec, VolumeReader())
        shape = (SIDE, SIDE)
        self.work = Extraction(
            sources,
            plan_sections(self.spec.boxes(), sources),
            mip=0,
            shape=shape,
            normalise=False,
            resampling="bilinear",
            create_images=lambda group, count: create_images(group, count, shape),
        )
        self.parts = folder / "parts"
        self.parts.mkdir()
        self.records = cut_sections(self.work, self.parts, 1, lambda *_: None)
        names = ("images.h5", "fields.h5", "pairs.parquet", "spec.json")
        self.paths = PairPaths(*(folder / name for name in names))

    def publish(self) -> None:
        publish_pairs(self.paths, "abc", self.spec, self.document, self.work, self.records, self.parts)


def pixels(place: tuple[int, int, int]) -> np.ndarray:
    x, y, z = place
    return IMAGE[x : x + SIDE, y : y + SIDE, z].astype(np.float32)


def test_pairs_that_are_kept_are_written_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several parts, of which one is open at a time.
    monkeypatch.setattr(extraction, "PART_BYTES", 2 * SIDE * SIDE * 4)
    monkeypatch.setattr(publication, "OPEN_PARTS", 1)
    cut = Cut(tmp_path, PLACES)
    assert len(cut.work.parts()) > 2
    cut.publish()
    kept = order_pairs([boxes for number, boxes in enumerate(cut.spec.boxes()) if number != 2])
    assert kept.order == (2, 0, 1), "the location of two pairs is last"
    order = [3, 0, 1]
    with h5py.File(cut.paths.images) as images, h5py.File(cut.paths.fields) as fields:
        assert images.attrs[WORK] == fields.attrs[WORK] == "abc"
        for row, number in enumerate(order):
            for side in (0, 1):
                np.testing.assert_array_equal(images[MAIN][row, side], pixels(PLACES[number][side]))
        assert fields[MAIN].shape == (3, 2, SIDE, SIDE)
        assert not fields[MAIN][:].any(), "there is no field to copy"
    table = pl.read_parquet(cut.paths.table)
    assert table.schema == pl.Schema(TABLE_SCHEMA)
    assert table["row"].to_list() == [1, 2, None, 0]
    assert table["split"].to_list() == ["validation", "validation", None, "train"]
    assert table["reason"].to_list() == [None, None, "src: no valid pixel; tgt: no valid pixel", None]
    assert table["src_black"].to_list() == [0, 0, 1, 0]
    assert table.select("tgt_x", "tgt_y", "tgt_z").rows() == [tgt for _, tgt in PLACES]
    assert json.loads(cut.paths.spec.read_text()) == cut.document
    assert json.loads(pl.read_parquet_metadata(cut.paths.table)[WORK]) == "abc"


def test_where_every_pair_is_rejected_nothing_is_written(tmp_path: Path) -> None:
    cut = Cut(tmp_path, [PLACES[2], ((16, 8, 1), (16, 8, 0)), ((0, 0, 1), (16, 0, 0))])
    with pytest.raises(PairFileError) as refused:
        cut.publish()
    assert str(refused.value) == (
        "Every pair is rejected, so that nothing is written: 2 pairs, src: no valid pixel; tgt: no valid"
        " pixel; 1 pair, tgt: no valid pixel."
    )
    assert not any(path.exists() for path in cut.paths)


def test_images_of_any_rows_are_copied(tmp_path: Path) -> None:
    cut = Cut(tmp_path, PLACES)
    task = {each.box: index for index, each in enumerate(cut.work.tasks)}
    src, tgt = (task[box] for box in cut.spec.boxes()[3])
    copy_images(tmp_path / "copied.h5", "def", cut.work, [(tgt, src), (src, src)], cut.parts)
    with h5py.File(tmp_path / "copied.h5") as file:
        one, other = (pixels(place) for place in PLACES[3])
        np.testing.assert_array_equal(file[MAIN][:], [[other, one], [one, one]])
        assert file.attrs[WORK] == "def"


def test_the_table_says_how_each_section_was_moved(tmp_path: Path) -> None:
    spec = PairSpec.model_validate(spec_of("/a", pairs=[pair((5, 6, 7), (5, 6, 8))]))
    records = [SectionRecord(moved=(-4, 8), missing=0.5), SectionRecord(masked=0.25, black=0.125)]
    boxes = spec.boxes()
    write_table(tmp_path / "a.parquet", "abc", boxes, [(0, 1)], records, [None], order_pairs(boxes))
    (row,) = pl.read_parquet(tmp_path / "a.parquet").to_dicts()
    assert row == {
        **{"pair": 0, "row": 0, "split": "train", "location": 0, "reason": None},
        **{"src_x": 5, "src_y": 6, "src_z": 7, "src_trans_x": -4, "src_trans_y": 8},
        **{"src_masked": 0, "src_black": 0, "src_missing_vectors": 0.5},
        **{"tgt_x": 5, "tgt_y": 6, "tgt_z": 8, "tgt_trans_x": 0, "tgt_trans_y": 0},
        **{"tgt_masked": 0.25, "tgt_black": 0.125, "tgt_missing_vectors": 0},
    }
