"""The kinds of labels that a recipe may have."""

from typing import Annotated

from pydantic import Field

from factory_pipeline.config.gedi_labels import GediLabels
from factory_pipeline.config.label_sources import GridLabels, PointLabels, PolygonLabels, RasterLabels

Labels = Annotated[
    PointLabels | PolygonLabels | RasterLabels | GridLabels | GediLabels, Field(discriminator="kind")
]
