"""Labels that are points: each is the centre of its window."""

import numpy as np
import shapely

from factory_pipeline.builds.labels.label_table import LabelTable, RejectLedger, label_table
from factory_pipeline.builds.labels.read_table import read_rows
from factory_pipeline.config.label_sources import TableLabels


def read_points(labels: TableLabels, ledger: RejectLedger) -> LabelTable:
    """Read labels that are points, or the points at which rasters of labels are cut.

    Args:
        labels: the file and its columns.
        ledger: gets those that are left out.

    Raises:
        RecipeError: the file or a column can't be used; see `read_rows` and `label_table`.
    """
    rows = read_rows(labels)
    is_point = (shapely.get_type_id(rows.geometries) == shapely.GeometryType.POINT) & ~shapely.is_empty(
        rows.geometries
    )
    return label_table(rows, labels, np.asarray(is_point, dtype=np.bool_), "point", ledger)
