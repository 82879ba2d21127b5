"""What identifies rows."""

import hashlib
import itertools
from datetime import UTC, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from factory_pipeline.datalake.tables.content_hash import RowsHash, content_hash

ROWS = pl.DataFrame(
    {
        "id": ["a", "ä"],
        "at": [datetime(2021, 6, 1, tzinfo=UTC), None],
        "shape": [b"\x01\xff", b""],
        "values": [[1.5, float("nan")], []],
    }
)


@given(cuts=st.lists(st.integers(0, ROWS.height), max_size=3))
def test_the_division_into_batches_does_not_matter(cuts: list[int]) -> None:
    found = RowsHash("rows")
    edges = [0, *sorted(cuts), ROWS.height]
    for start, stop in itertools.pairwise(edges):
        found.update(ROWS[start:stop])
    assert found.hexdigest() == content_hash(ROWS, "rows")


def test_the_form_of_a_row_stays_as_it_is() -> None:
    # Hashes are kept in registries: another form would make every collection a new one.
    lines = (
        "rows\n"
        '{"at":"2021-06-01T00:00:00+00:00","id":"a","shape":"01ff","values":[1.5,NaN]}\n'
        '{"at":null,"id":"ä","shape":"","values":[]}\n'
    )
    assert content_hash(ROWS, "rows") == hashlib.sha256(lines.encode()).hexdigest()


def test_rows_of_another_kind_are_others() -> None:
    assert content_hash(ROWS, "rows") != content_hash(ROWS, "other rows")
