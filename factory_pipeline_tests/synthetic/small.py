"""A sample archive that is small enough to be made for a test run."""

from dataclasses import replace

from factory_pipeline.synthetic.plan import DEMO_PLAN, ArchivePlan
from factory_pipeline.synthetic.sentinel2 import Visit

_SEGMENTS = ((-200.0, 8),)

SMALL_PLAN = ArchivePlan(
    (
        replace(
            DEMO_PLAN.overpasses[0],
            segments=_SEGMENTS,
            visits=(Visit(-3, 2.0), Visit(4, 18.4, lacks=("B11",))),
        ),
        replace(
            DEMO_PLAN.overpasses[6],
            segments=_SEGMENTS,
            visits=(Visit(-2, 2.6, baseline="05.00"),),
        ),
    )
)
"""One granule in 2020, over the edge of the tiles, and one in 2021."""
