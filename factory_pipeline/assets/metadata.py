"""How counts, plots and previews are shown in the web UI."""

import base64
from collections.abc import Mapping, Sequence

import dagster as dg


def counts_table(label: str, counts: Mapping[str, int]) -> dg.TableMetadataValue:
    """A two-column table, in the order of `counts`."""
    return dg.MetadataValue.table(
        [dg.TableRecord({label: name, "footprints": count}) for name, count in counts.items()],
        schema=dg.TableSchema([dg.TableColumn(label, "string"), dg.TableColumn("footprints", "int")]),
    )


def text_table(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> dg.TableMetadataValue:
    """A table of text; without rows it still shows its columns."""
    return dg.MetadataValue.table(
        [dg.TableRecord(dict(row)) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(column, "string") for column in columns]),
    )


def picture(png: bytes, alt: str) -> dg.MarkdownMetadataValue:
    """A PNG that opens in a dialog; keep it under 100 kB, it is stored with the event."""
    encoded = base64.b64encode(png).decode("ascii")
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{encoded})")
