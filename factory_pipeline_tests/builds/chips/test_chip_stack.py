"""Chips that a stage stored are those that the next one reads."""

from pathlib import Path

import numpy as np
import polars as pl

from factory_pipeline.builds.chips.chip_stack import ChipStack, keep_chips

SHOTS = pl.Series("shot_number", [2**63 + 1, 7], dtype=pl.UInt64)


def test_arrays_and_tables_come_back(tmp_path: Path) -> None:
    stack = ChipStack(
        pl.DataFrame([SHOTS, pl.Series("names", [["a", "b"], []], dtype=pl.List(pl.String))]),
        {"counts": np.arange(24, dtype=np.uint16).reshape(2, 3, 4), "valid": np.array([True, False])},
        pl.DataFrame(schema={"shot_number": pl.UInt64, "reason": pl.String}),
    )
    stack.save(tmp_path / "b0" / "sentinel2.npz")
    read = ChipStack.load(tmp_path / "b0" / "sentinel2.npz")
    assert read.table.equals(stack.table)
    assert read.table.schema == stack.table.schema
    assert read.rejects.schema == stack.rejects.schema
    assert set(read.arrays) == {"counts", "valid"}
    for name, array in stack.arrays.items():
        assert read.arrays[name].dtype == array.dtype
        assert np.array_equal(read.arrays[name], array)
    assert [path.name for path in (tmp_path / "b0").iterdir()] == ["sentinel2.npz"]


def test_chips_are_kept_in_their_order_without_a_second_array() -> None:
    chips = np.arange(12, dtype=np.uint8).reshape(6, 2)
    kept = keep_chips(chips, [0, 2, 5])
    assert kept.tolist() == [[0, 1], [4, 5], [10, 11]]
    assert np.shares_memory(kept, chips)
    assert keep_chips(chips, []).shape == (0, 2)
