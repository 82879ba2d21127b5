"""Metadata for the web UI: counts, plots, previews and links to pages."""

import base64
import os
from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl
import polars.selectors as cs

PAGES = "/pages"
"""Where the web server of `factory ui` leads to dataset pages and exports, whatever the ports."""


def pages_url() -> str:
    """Return where the web UI finds dataset pages and exports, unless FACTORY_PAGES_URL names an address."""
    return os.environ.get("FACTORY_PAGES_URL", "").rstrip("/") or PAGES


def counts_table(label: str, counts: Mapping[str, int]) -> dg.TableMetadataValue:
    """Return a two-column table, in the order of `counts`.

    Args:
        label: heading of the first column.
        counts: by name; numbers of footprints.
    """
    return dg.MetadataValue.table(
        [dg.TableRecord({label: name, "footprints": count}) for name, count in counts.items()],
        schema=dg.TableSchema([dg.TableColumn(label, "string"), dg.TableColumn("footprints", "int")]),
    )


def text_table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> dg.TableMetadataValue:
    """Return a table of text; without rows it still shows its columns.

    Args:
        rows: by column.
        columns: headings, in their order.
    """
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(row)) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(column, "string") for column in columns]),
    )


def picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """Return a PNG that opens in a dialog; keep it under 100 kB, it is stored with the event.

    Args:
        png: the encoded picture.
        alt: text for those who can't see it.
    """
    encoded = base64.b64encode(png).decode("ascii")
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{encoded})")


def rows_table(frame: pl.DataFrame) -> dg.TableMetadataValue:
    """Return a small frame as a table, numbers to six digits; without rows it still shows its columns."""
    kinds: dict[type[pl.DataType], str] = {pl.Int64: "int", pl.UInt32: "int", pl.Float64: "float"}
    return dg.MetadataValue.table(
        [
            dg.TableRecord(row)
            for row in frame.with_columns(cs.float().round_sig_figs(6)).iter_rows(named=True)
        ],
        schema=dg.TableSchema(
            [
                dg.TableColumn(name, kinds.get(dtype.base_type(), "string"))
                for name, dtype in frame.schema.items()
            ]
        ),
    )
