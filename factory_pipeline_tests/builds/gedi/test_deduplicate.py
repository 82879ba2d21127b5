from pathlib import Path

import polars as pl

from factory_pipeline.builds.gedi.deduplicate import FirstShots


def test_each_shot_is_marked_once_in_the_first_file_that_has_it(tmp_path: Path) -> None:
    shots = [[1, 2, 2, 9], [], [100, 101], [9, 10, 1], [101, 10]]
    paths = []
    for number, held in enumerate(shots):
        paths.append(tmp_path / f"{number}.parquet")
        pl.DataFrame({"shot_number": held}, schema={"shot_number": pl.Int64}).write_parquet(paths[-1])
    first = FirstShots(paths)
    marked = [first.mark(n, pl.Series(held, dtype=pl.Int64)).to_list() for n, held in enumerate(shots)]
    assert marked == [[True, True, False, True], [], [True, True], [False, True, False], [False, False]]
