"""What time or a column decides does not leak either: whoever is too near gives way, and nobody else."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_pipeline.imagery.overlap import Ground
from factory_pipeline.splits.leakage import COPIES_SCHEMA, leak_report
from factory_pipeline.splits.names import SPLITS
from factory_pipeline.splits.too_near import find_too_near
from factory_pipeline_tests.examples import up_to
from factory_pipeline_tests.splits.test_held_out_blocks import scattered, windows


@pytest.mark.integration
@given(
    count=st.integers(1, 200),
    seed=st.integers(0, 999),
    spread=st.sampled_from([0.02, 0.1]),
    lat=st.sampled_from([-0.05, 47.0, 71.0]),
    buffer_m=st.sampled_from([0.0, 250.0]),
)
@settings(max_examples=up_to(12), deadline=None)
def test_what_stays_in_does_not_leak_whatever_the_order(
    count: int, seed: int, spread: float, lat: float, buffer_m: float
) -> None:
    rng = np.random.default_rng(seed)
    items = windows(scattered(count, seed, spread, lat))
    content = pl.Series([str(number) for number in rng.integers(0, 2 * count + 1, count)], dtype=pl.String)
    items = items.with_columns(content.alias("sha256"))
    split = pl.Series(rng.choice([*SPLITS, None], count).tolist(), dtype=pl.String)
    pairs = rng.integers(0, max(count, 1), (count // 20, 2))
    copies = pl.DataFrame(
        {"stem": items["stem"][pairs[:, 0]], "other_stem": items["stem"][pairs[:, 1]], "correlation": 1.0},
        schema=COPIES_SCHEMA,
    )
    equal = content.rank("dense").to_numpy().astype(np.int64) - 1
    out = find_too_near(split, Ground.of(items), buffer_m, [equal], pairs)
    assert not out[split.is_null().to_numpy()].any()
    kept = pl.select(pl.when(pl.Series(~out)).then(split).alias("split")).to_series()
    report = leak_report(items, items.select("stem").with_columns(kept), buffer_m, copies)
    assert not report.leaks
    # Test items never give way, and who is alone stays.
    assert not out[(split == "test").fill_null(False).to_numpy()].any()
    before = leak_report(items, items.select("stem").with_columns(split.alias("split")), buffer_m, copies)
    assert set(items["stem"].filter(pl.Series(out))) <= set(before.crossing["stem"])
    order = rng.permutation(count)
    place = np.argsort(order)
    again = find_too_near(
        split[order.tolist()], Ground.of(items[order.tolist()]), buffer_m, [equal[order]], place[pairs]
    )
    assert (again == out[order]).all()


@pytest.mark.parametrize("stays", ["train", "validation"])
def test_what_stays_goes_before_all_others(stays: str) -> None:
    places = np.array([[10.0, 47.0], [10.0001, 47.0], [10.5, 47.0], [10.5001, 47.0]])
    items, split = windows(places), pl.Series([stays, "test", "test", "train"])
    assert find_too_near(split, Ground.of(items)).tolist() == [True, False, False, True]
    first = np.array([True, False, False, False])
    assert find_too_near(split, Ground.of(items), stays=first).tolist() == [False, True, False, True]
    both = np.array([True, True, False, False])
    assert find_too_near(split, Ground.of(items), stays=both).tolist() == [False, False, False, True]
