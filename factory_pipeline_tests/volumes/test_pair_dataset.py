"""From a spec to files of pairs, against loops written from the description; files are read by h5py alone."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest

from factory_pipeline.errors import PairFileError, SpecError, VolumeError
from factory_pipeline.volumes.pair_dataset import PairSettings, make_dataset
from factory_pipeline_tests.hdf5.track_order import order_tracked
from factory_pipeline_tests.volumes.factories import halved, pair, spec_of, texture, write_volume
from factory_pipeline_tests.volumes.reference import ReferenceVolume, section

pytestmark = pytest.mark.integration
"""Seconds of work, which `make test-fast` leaves out."""

SHAPE = (96, 80, 5)
"""Voxels of MIP 0."""


class Volumes:
    """An image of three mips, a mask, and a field of MIP 2 with holes."""

    def __init__(self, folder: Path) -> None:
        image = texture(SHAPE)
        image[40:50, 30:44] = 0
        mask = np.zeros(SHAPE, np.uint8)
        mask[20:60, 10:30, 1:4] = 200
        x, y, z = np.meshgrid(np.arange(24), np.arange(20), np.arange(5), indexing="ij")
        field = np.stack([5.3 + np.sin(x / 3) + z, -6.2 + 2 * np.cos(y / 4 + x)], axis=-1).astype(np.float32)
        field[11, 9, :, 0] = np.nan
        field[3, 3, 2] = np.inf
        images = {0: image, 1: halved(image), 2: halved(halved(image))}
        self.image = write_volume(folder / "image", images)
        self.mask = write_volume(folder / "mask", {0: mask, 1: halved(mask)}, chunk=(32, 8, 2))
        self.field = write_volume(folder / "field", {2: field}, chunk=(8, 8, 1))
        self.reference = {
            self.image: ReferenceVolume(images),
            self.mask: ReferenceVolume({0: mask, 1: halved(mask)}),
            self.field: ReferenceVolume({2: field}),
        }

    def spec(self, **changes: Any) -> dict[str, Any]:
        """A spec with everything: other mips, a mask, a field with its own reference, no square boxes."""
        return spec_of(
            self.image,
            **{
                "image": {
                    "path": self.image,
                    "src_mip": 0,
                    "reference": {
                        "path": self.image,
                        "src_mip": 2,
                        "dst_mip": 1,
                        "x_size": 24,
                        "y_size": 28,
                    },
                },
                "field": {
                    "path": self.field,
                    "src_mip": 2,
                    "reference": {
                        "path": self.field,
                        "src_mip": 2,
                        "dst_mip": 2,
                        "x_size": 12,
                        "y_size": 6,
                    },
                },
                "masks": [{"path": self.mask, "src_mip": 1, "threshold": 100}],
                "max_mip": 2,
                "dst_mip": 1,
                "x_size": 20,
                "y_size": 12,
                "pairs": [
                    pair((24, 24, 2), (24, 24, 1)),
                    pair((24, 24, 1), (24, 24, 2)),
                    pair((32, 20, 4), (32, 20, 3)),
                ],
                **changes,
            },
        )


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Volumes:
    return Volumes(tmp_path_factory.mktemp("volumes"))


def compare(volumes: Volumes, spec: dict[str, Any], folder: Path, normalise: bool = True) -> None:
    """Make the files of a spec and compare every pair with the loops."""
    made = make_dataset(spec, folder, PairSettings(normalise=normalise))
    table = pl.read_parquet(made.paths.table).filter(pl.col("row").is_not_null())
    with h5py.File(made.paths.images) as images, h5py.File(made.paths.fields) as fields:
        assert images["main"].shape[0] == fields["main"].shape[0] == made.pairs == table.height
        for row in table.iter_rows(named=True):
            places = spec["pairs"][row["pair"]]
            src, tgt = (
                section(spec, volumes.reference, tuple(places[side].values()), normalise)
                for side in ("src", "tgt")
            )
            np.testing.assert_allclose(images["main"][row["row"], 0], src[0], rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(images["main"][row["row"], 1], tgt[1], rtol=1e-4, atol=2e-4)
            np.testing.assert_allclose(fields["main"][row["row"]], src[2], atol=0.011)
            assert (row["src_trans_x"], row["src_trans_y"]) == src[3]
            assert (row["tgt_trans_x"], row["tgt_trans_y"]) == tgt[3]
            assert src[3] != (0, 0) or "field" not in spec
            assert np.isfinite(images["main"][row["row"]]).all()


def test_the_whole_arithmetic_is_that_of_the_loops(volumes: Volumes, tmp_path: Path) -> None:
    compare(volumes, volumes.spec(), tmp_path)


def test_without_normalisation(volumes: Volumes, tmp_path: Path) -> None:
    compare(volumes, volumes.spec(), tmp_path, normalise=False)


@pytest.mark.parametrize("mip", [0, 1])
def test_without_references_the_boxes_themselves_count(volumes: Volumes, tmp_path: Path, mip: int) -> None:
    image, field = {"path": volumes.image, "src_mip": mip}, {"path": volumes.field, "src_mip": 2}
    compare(volumes, volumes.spec(image=image, field=field), tmp_path)


def test_without_field_and_with_windows_that_are_high(volumes: Volumes, tmp_path: Path) -> None:
    spec = volumes.spec(x_size=12, y_size=20)
    del spec["field"]
    compare(volumes, spec, tmp_path)
    with h5py.File(tmp_path / "field_0_x24_y24_z2_MIP1_test.h5") as file:
        assert not file["main"][...].any()


def test_finer_pairs_than_the_volume(volumes: Volumes, tmp_path: Path) -> None:
    image = {"path": volumes.image, "src_mip": 2}
    compare(volumes, volumes.spec(image=image, dst_mip=0, x_size=24, y_size=16), tmp_path)


def test_files_have_the_layout_and_say_what_they_are(volumes: Volumes, tmp_path: Path) -> None:
    made = make_dataset(volumes.spec(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "field_0_x24_y24_z2_MIP1_test.h5",
        "x24_y24_z2_MIP1.h5",
        "x24_y24_z2_MIP1.pairs.parquet",
        "x24_y24_z2_MIP1.spec.json",
    ]
    with h5py.File(made.paths.images) as file:
        images = file["main"]
        assert (images.shape, images.dtype, images.chunks) == ((3, 2, 20, 12), np.float32, (1, 1, 20, 12))
        assert images.compression == "lzf"
    with h5py.File(made.paths.fields) as file:
        fields = file["main"]
        assert (fields.shape, fields.dtype, fields.chunks) == ((3, 2, 20, 12), np.float32, (1, 2, 20, 12))
        assert (fields.compression, fields.scaleoffset) == ("lzf", 2)
    assert json.loads(made.paths.spec.read_text()) == volumes.spec()
    table = pl.read_parquet(made.paths.table)
    # The pair and its reverse are of one location, the third pair is of another.
    assert table["location"].to_list() == [0, 0, 1]
    assert table.select("src_x", "src_y", "src_z", "tgt_z").rows()[0] == (24, 24, 2, 1)
    assert 0 < table["src_masked"][0] < 1
    assert 0 < table["src_black"][0] < 1
    assert table["src_missing_vectors"].to_list() == [1 / 60] * 3


def test_centres_and_lists_give_the_same_images(volumes: Volumes, tmp_path: Path) -> None:
    spec = volumes.spec()
    centred = [
        [
            {"x": side["x_start"] + 20, "y": side["y_start"] + 12, "z": side["z_start"]}
            for side in (one["src"], one["tgt"])
        ]
        for one in spec["pairs"]
    ]
    by_start = make_dataset(spec, tmp_path / "starts")
    by_centre = make_dataset({**spec, "pairs": centred}, tmp_path / "centres")
    assert by_centre.paths.images.name == "x44_y36_z2_MIP1.h5"
    with h5py.File(by_start.paths.images) as one, h5py.File(by_centre.paths.images) as other:
        np.testing.assert_array_equal(one["main"], other["main"])


def test_places_between_pixels_are_said(volumes: Volumes, tmp_path: Path) -> None:
    assert "between pixels" not in str(make_dataset(volumes.spec(), tmp_path / "on"))
    spec = volumes.spec(pairs=[pair((24, 26, 2), (24, 24, 1))])
    assert "1 place starts between pixels of MIP 2" in str(make_dataset(spec, tmp_path / "between"))


def test_a_name_that_metroem_does_not_read_is_said(tmp_path: Path) -> None:
    address = write_volume(tmp_path / "image", {0: texture((16, 16, 2))}, offset=(-16, 0, 0))
    made = make_dataset(spec_of(address, pairs=[pair((-16, 0, 1), (-16, 0, 0))]), tmp_path / "out")
    assert made.paths.images.name == "x-16_y0_z1_MIP0.h5"
    assert "metroem reads no file whose x is negative, and this one's is -16." in str(made)


def test_area_averages_where_the_image_shrinks(tmp_path: Path) -> None:
    image = texture((32, 32, 2))
    spec = spec_of(write_volume(tmp_path / "image", {0: image}), dst_mip=2, x_size=8, y_size=8)
    settings = PairSettings(normalise=False, resampling="area")
    made = make_dataset(spec, tmp_path / "out", settings)
    with h5py.File(made.paths.images) as file:
        means = image.astype(float).reshape(8, 4, 8, 4, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(file["main"][0, 0], means[..., 1], rtol=1e-6)


def test_the_same_bytes_whatever_parallel(volumes: Volumes, tmp_path: Path) -> None:
    made = [make_dataset(volumes.spec(), tmp_path / "one", PairSettings(parallel=1))]
    with order_tracked():
        made.append(make_dataset(volumes.spec(), tmp_path / "three", PairSettings(parallel=3)))
    for one, other in zip(made[0].paths, made[1].paths, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_finished_files_are_left_and_other_work_is_never_overwritten(
    volumes: Volumes, tmp_path: Path
) -> None:
    made = make_dataset(volumes.spec(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in made.paths}
    assert make_dataset(volumes.spec(), tmp_path) == made
    assert {path: path.stat().st_mtime_ns for path in made.paths} == before
    for settings, spec in (
        (PairSettings(normalise=False), volumes.spec()),
        (PairSettings(), volumes.spec(pairs=volumes.spec()["pairs"][:2])),
    ):
        with pytest.raises(PairFileError, match=r"x24_y24_z2_MIP1.h5 exists .* never overwritten"):
            make_dataset(spec, tmp_path, settings)
    assert {path: path.stat().st_mtime_ns for path in made.paths} == before
    made.paths.fields.unlink()
    content = made.paths.images.read_bytes()
    assert make_dataset(volumes.spec(), tmp_path) == made
    assert made.paths.images.read_bytes() == content
    made.paths.images.unlink()
    made.paths.fields.write_text("another file")
    with pytest.raises(PairFileError, match=r"field_0_x24_y24_z2_MIP1_test.h5 exists"):
        make_dataset(volumes.spec(), tmp_path)


def test_sections_without_valid_pixels_put_pairs_into_the_ledger(tmp_path: Path) -> None:
    image = texture((32, 32, 6))
    image[..., 1] = 0
    image[:16, :16, 3] = 0
    mask = np.zeros((32, 32, 6), np.uint8)
    mask[..., 5] = 255
    reference = {"src_mip": 0, "dst_mip": 0, "x_size": 32, "y_size": 32}
    path = write_volume(tmp_path / "image", {0: image})
    spec = spec_of(
        path,
        image={"path": path, "src_mip": 0, "reference": {"path": path, **reference}},
        masks=[{"path": write_volume(tmp_path / "mask", {0: mask}), "src_mip": 0, "threshold": 1}],
        x_size=16,
        y_size=16,
        pairs=[
            pair((8, 8, 1), (8, 8, 0)),
            pair((8, 8, 2), (8, 8, 4)),
            pair((8, 8, 4), (8, 8, 5)),
            pair((8, 8, 5), (8, 8, 1)),
        ],
    )
    made = make_dataset(spec, tmp_path / "out")
    assert made.pairs == 1
    assert made.rejected == {
        "src: no valid pixel": 1,
        "src: no valid pixel; tgt: no valid pixel": 1,
        "tgt: no valid pixel": 1,
    }
    assert "Rejected: 1 pair, tgt: no valid pixel" in str(made)
    table = pl.read_parquet(made.paths.table)
    assert table["row"].to_list() == [None, 0, None, None]
    assert table["split"].to_list() == [None, "train", None, None]
    with h5py.File(made.paths.images) as file:
        assert file["main"].shape == (1, 2, 16, 16)
    dark = {**spec, "pairs": [spec["pairs"][0], spec["pairs"][3]]}
    with pytest.raises(PairFileError, match=r"Every pair is rejected.*: 1 pair, src: no valid pixel; 1 pair"):
        make_dataset(dark, tmp_path / "dark")
    assert not list((tmp_path / "dark").glob("*.h5"))


def test_a_reference_without_valid_pixels_rejects_too(tmp_path: Path) -> None:
    image = texture((32, 32, 2))
    other = np.zeros_like(image)
    path = write_volume(tmp_path / "image", {0: image})
    reference = {
        "path": write_volume(tmp_path / "other", {0: other}),
        "src_mip": 0,
        "dst_mip": 0,
        "x_size": 32,
        "y_size": 32,
    }
    spec = spec_of(
        path, image={"path": path, "src_mip": 0, "reference": reference}, pairs=[pair((8, 8, 1), (8, 8, 0))]
    )
    with pytest.raises(PairFileError, match="no valid pixel in the reference box"):
        make_dataset(spec, tmp_path / "out")
    assert make_dataset(spec, tmp_path / "raw", PairSettings(normalise=False)).pairs == 1


def test_a_field_without_finite_vectors_rejects(tmp_path: Path) -> None:
    field = np.full((16, 16, 2, 2), np.nan, np.float32)
    spec = spec_of(
        write_volume(tmp_path / "image", {0: texture((16, 16, 2))}),
        field={"path": write_volume(tmp_path / "field", {0: field}), "src_mip": 0},
    )
    with pytest.raises(PairFileError, match="no finite vector of the field in the reference box"):
        make_dataset(spec, tmp_path / "out")


def test_a_constant_section_becomes_0(tmp_path: Path) -> None:
    image = np.full((16, 16, 2), 7, np.uint8)
    made = make_dataset(spec_of(write_volume(tmp_path / "image", {0: image})), tmp_path / "out")
    with h5py.File(made.paths.images) as file:
        assert not file["main"][...].any()


def test_not_finite_pixels_are_never_stored(tmp_path: Path) -> None:
    image = texture((16, 16, 2)).astype(np.float32)
    image[3, 4] = np.nan
    made = make_dataset(spec_of(write_volume(tmp_path / "image", {0: image})), tmp_path / "out")
    with h5py.File(made.paths.images) as file:
        assert not file["main"][0, :, 3, 4].any()
        assert np.isfinite(file["main"][...]).all()


def test_what_is_outside_is_named_before_any_image_is_read(volumes: Volumes, tmp_path: Path) -> None:
    spec = spec_of(
        volumes.image,
        pairs=[
            pair((0, 0, 1), (0, 0, 0)),
            pair((88, 0, 1), (-8, 70, 0)),
            [pair((0, 0, 4), (0, 0, 5))["src"], pair((0, 0, 4), (0, 0, 5))["tgt"]],
        ],
    )
    with pytest.raises(VolumeError) as caught:
        make_dataset(spec, tmp_path / "strict")
    text = str(caught.value)
    assert "$.pairs[1].src: x 88..104 of 0..96 at MIP 0 of" in text
    assert "$.pairs[1].tgt: x -8..8 of 0..96 and y 70..86 of 0..80 at MIP 0 of" in text
    assert "$.pairs[2][1]: z 5..6 of 0..5 at MIP 0 of" in text
    assert "pairs[0]" not in text
    assert not list((tmp_path / "strict").glob("*.h5"))
    filled = {**spec, "pairs": spec["pairs"][:2]}
    made = make_dataset(filled, tmp_path / "filled", PairSettings(fill_missing=True, normalise=False))
    with h5py.File(made.paths.images) as file:
        cut = volumes.reference[volumes.image].cut(0, 88, 0, 1, 16, 16)
        np.testing.assert_array_equal(file["main"][1, 0], cut)
        np.testing.assert_array_equal(file["main"][1, 0, 8:], 0)


def test_a_moved_box_that_is_outside_is_named(volumes: Volumes, tmp_path: Path) -> None:
    # The box itself is inside; moved by -8 in x it is not.
    spec = volumes.spec(pairs=[pair((4, 24, 2), (24, 24, 1))])
    spec["image"] = {"path": volumes.image, "src_mip": 0}
    spec["field"] = {"path": volumes.field, "src_mip": 2}
    with pytest.raises(VolumeError, match=r"\$\.pairs\[0\]\.src: x -4\.\.36 of 0\.\.96"):
        make_dataset(spec, tmp_path)
    assert not list(tmp_path.glob("*.h5"))


def test_volumes_that_do_not_fit_are_named(volumes: Volumes, tmp_path: Path) -> None:
    image = {"path": volumes.image, "src_mip": 3}
    with pytest.raises(VolumeError, match=r"\$\.image: .* has no MIP 3, which is 32x32x40 nm; it has 4x4x40"):
        make_dataset(spec_of(volumes.image, image=image), tmp_path)
    with pytest.raises(VolumeError, match=r"\$\.masks\[0\]: .*field has 2 channels, and 1 must be there"):
        make_dataset(
            spec_of(volumes.image, masks=[{"path": volumes.field, "src_mip": 2, "threshold": 1}]), tmp_path
        )
    with pytest.raises(VolumeError, match=r"\$\.field: .*image has 1 channels"):
        make_dataset(spec_of(volumes.image, field={"path": volumes.image, "src_mip": 2}), tmp_path)
    whole = write_volume(tmp_path / "whole", {0: np.zeros((16, 16, 1, 2), np.int16)})
    with pytest.raises(VolumeError, match=r"\$\.field: .*whole has values of int16, fields have float32"):
        make_dataset(spec_of(volumes.image, field={"path": whole, "src_mip": 0}), tmp_path)
    other = write_volume(tmp_path / "other", {0: texture((16, 16, 1))}, mip0=(8, 8, 30))
    with pytest.raises(VolumeError, match=r"other has no MIP 0, which is 4x4x40 nm; it has 8x8x30 nm"):
        make_dataset(spec_of(volumes.image, masks=[{"path": other, "src_mip": 0, "threshold": 1}]), tmp_path)


def test_a_spec_without_pairs_makes_nothing(volumes: Volumes, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a spec without pairs makes no files"):
        make_dataset(spec_of(volumes.image, pairs=[]), tmp_path)


def test_parts_are_of_the_work_alone(
    volumes: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_one = make_dataset(volumes.spec(), tmp_path / "one")
    monkeypatch.setattr("factory_pipeline.volumes.extraction.PART_BYTES", 1)
    monkeypatch.setattr("factory_pipeline.volumes.publication.OPEN_PARTS", 1)
    in_many = make_dataset(volumes.spec(), tmp_path / "many")
    for one, other in zip(in_one.paths, in_many.paths, strict=True):
        assert one.read_bytes() == other.read_bytes()
